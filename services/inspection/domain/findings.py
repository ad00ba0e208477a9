"""Which answers pass, and which fails are findings (clause 四.3 指出问题)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from services.inspection.domain.campaigns import Campaign, Item


def passes(item: Item, answer: Mapping[str, Any]) -> bool | None:
    """Whether an answer that fits its item passes: at or above ``pass_at``, exactly. None: not applicable."""
    if answer.get("result") == "na":
        return None
    if item.kind == "pass_fail":
        return bool(answer["result"] == "pass")
    if item.kind == "scale":
        return Fraction(answer["value"], item.max) >= item.pass_at
    return Fraction(answer["observed"], answer["of"]) >= item.pass_at


def findings_of(campaign: Campaign, answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The failed required or critical items of valid answers, in the order of the answers."""
    found = []
    for answer in answers:
        item = campaign.items[answer["item"]]
        if item.demands_evidence and passes(item, answer) is False:
            found.append(
                {
                    "item": item.id,
                    "name": item.name,
                    "clause": item.clause,
                    "axis": item.axis,
                    "required": item.required,
                    "critical": item.critical,
                    "note": answer.get("note", ""),
                    "photo": answer.get("photo", ""),
                }
            )
    return found
