"""What inspection asks of a campaign version: its days and its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    ``kind``: pass_fail, scale (0..``max``) or count; it passes at or above ``pass_at`` (0..1).
    """

    id: str
    name: str
    clause: str
    axis: str
    kind: str
    max: int
    pass_at: Fraction
    required: bool
    critical: bool

    @property
    def demands_evidence(self) -> bool:
        """A fail of this item is a finding: it needs a note or a photo, and must be put right."""
        return self.required or self.critical


@dataclass(frozen=True)
class Campaign:
    """One published version of a campaign; it never changes."""

    id: str
    version: int
    opens: date
    closes: date
    items: Mapping[str, Item]

    def holds(self, day: date) -> bool:
        """The day lies in the campaign, both ends included."""
        return self.opens <= day <= self.closes


def campaign_of(document: Mapping[str, Any]) -> Campaign:
    """The campaign of a valid campaign document (``contracts/campaign.py``)."""
    items = (
        Item(
            id=str(item["id"]),
            name=str(item["name"]),
            clause=str(item["clause"]),
            axis=str(item["axis"]),
            kind=str(item["kind"]),
            max=int(item.get("max") or 0),
            pass_at=Fraction(str(item.get("pass_at") or "1")),
            required=bool(item.get("required", False)),
            critical=bool(item.get("critical", False)),
        )
        for item in document["items"]
    )
    return Campaign(
        id=str(document["id"]),
        version=int(document["version"]),
        opens=date.fromisoformat(str(document["opens"])),
        closes=date.fromisoformat(str(document["closes"])),
        items={item.id: item for item in items},
    )


def version_problem(highest: int, version: int) -> str | None:
    """Why ``version`` cannot be published after ``highest`` (0: none published), or None."""
    if version == highest + 1:
        return None
    known = highest or "none"
    return f"版本须为 {highest + 1} / must be {highest + 1}: the highest published version is {known}"


def latest(campaigns: Iterable[Campaign]) -> list[Campaign]:
    """Each campaign in its highest version."""
    newest: dict[str, Campaign] = {}
    for campaign in campaigns:
        if campaign.id not in newest or newest[campaign.id].version < campaign.version:
            newest[campaign.id] = campaign
    return list(newest.values())


def effective_problem(document: Mapping[str, Any], today: date) -> str | None:
    """Why a later version cannot take effect on the day it names, or None. ``today``: campaign clock."""
    effective_on = document.get("effective_on")
    if document["version"] == 1 or not effective_on or date.fromisoformat(effective_on) >= today:
        return None
    return f"生效日不得早于今日 {today} / a version cannot take effect in the past: {effective_on}"
