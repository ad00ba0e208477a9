"""Which fact makes which mail, to whom, saying what. Plain values in, plain values out.

A notice never carries who visited or who rated (clause 四.3: supervisors visit unannounced): its context is built
from named fields only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OFFICE = "office"
TEMPLATE_VERSION = 1
FINDINGS, CONFORMITY, VERDICT = "findings", "conformity", "verdict"


@dataclass(frozen=True)
class Notice:
    """A mail that is owed. ``audience``: ``window:<code>`` (its contact) or ``office``; ``context`` is JSON-plain."""

    template: str
    audience: str
    context: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """With the event's id this makes the mail the same mail: audience, template with its version."""
        return self.audience, f"{self.template}.v{TEMPLATE_VERSION}"


def findings_notice(visit: Mapping[str, Any]) -> Notice | None:
    """To the window's contact when a visit found a required or critical item failed (row 34); else None."""
    if not visit["findings"]:
        return None
    kept = ("item", "name", "clause", "axis", "required", "critical", "note")
    findings = [{key: finding[key] for key in kept} for finding in visit["findings"]]
    return Notice(
        FINDINGS,
        f"window:{visit['window']}",
        {
            "window": visit["window"],
            "campaign": visit["campaign"],
            "occurred_at": visit["occurred_at"],
            "visit": visit["visit_id"],
            "findings": sorted(
                findings,
                key=lambda finding: (not finding["critical"], not finding["required"], finding["item"]),
            ),
        },
    )


def conformity_notice(change: Mapping[str, Any]) -> Notice | None:
    """To the window's contact when it comes to conform or ceases to (clause 一.1); None for roll-ups."""
    if change["level"] != "window":
        return None
    return Notice(
        CONFORMITY,
        f"window:{change['code']}",
        {
            "window": change["code"],
            "campaign": change["campaign"],
            "conforming": change["conforming"],
            "gaps": [
                {key: gap.get(key) for key in ("item", "name", "clause", "axis", "reason")}
                for gap in change["gaps"]
            ],
        },
    )


def verdict_notice(change: Mapping[str, Any]) -> Notice | None:
    """To the office when the city's verdict on the target changes (clause 一.2); None for windows and industries."""
    if change["level"] != "city":
        return None
    return Notice(
        VERDICT,
        OFFICE,
        {
            "campaign": change["campaign"],
            "verdict": change["verdict"],
            "previous": change["previous"],
            "day": change["day"],
            "satisfaction": dict(change["satisfaction"]),
        },
    )


RULES = {
    "inspection.visit_recorded.v1": findings_notice,
    "scoring.conformity_changed.v1": conformity_notice,
    "scoring.verdict_changed.v1": verdict_notice,
}


def notice_of(event_type: str, data: Mapping[str, Any]) -> Notice | None:
    """The mail an event makes, or None."""
    return RULES[event_type](data)
