"""The part of a campaign version that decides scores, read from the published campaign document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

FACILITY = "facility"
QUALITY = "quality"
AXES = ("norms", "facilities", "quality")
LEVELS = (5, 4, 3, 2, 1)
DEFAULT_POINTS = {5: Fraction(100), 4: Fraction(80), 3: Fraction(60), 2: Fraction(30), 1: Fraction(0)}

# Rows of the requirements that a campaign's clauses answer; the clause numbers themselves are data.
ROW_CONFORMITY, ROW_SATISFACTION, ROW_PHRASES = 2, 4, 10


@dataclass(frozen=True, slots=True)
class Item:
    """A checklist item.

    `pass_at` is the score (0–1) from which it passes; `maximum` is the top of a scale.
    """

    id: str
    name: str
    clause: str
    dimension: str
    axis: str
    phrase: str | None
    kind: str
    maximum: int | None
    weight: int
    pass_at: Fraction
    required: bool
    critical: bool


@dataclass(frozen=True, slots=True)
class Dimension:
    """A facility requirement or a contest event; `axis` is FACILITY or QUALITY."""

    id: str
    axis: str
    name: str
    clause: str
    weight: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """One of the four phrases of the facility standard."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """One immutable version of a campaign. `effective_on` None: effective as soon as it is published."""

    id: str
    version: int
    name: str
    effective_on: date | None
    items: Mapping[str, Item]
    dimensions: tuple[Dimension, ...]
    phrases: tuple[Phrase, ...]
    target: Fraction
    reference: Fraction
    points: Mapping[int, Fraction]
    clause_of_row: Mapping[int, str]

    def dimensions_of(self, axis: str) -> tuple[Dimension, ...]:
        """The dimensions of FACILITY or of QUALITY, in the order of the campaign file."""
        return tuple(dimension for dimension in self.dimensions if dimension.axis == axis)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Campaign:
        """Reads a campaign document that its schema has accepted.

        Keys that decide no score are passed over.
        """
        policy = document.get("policy", {})
        levels = document.get("rating_levels", ())
        points = {level["level"]: Fraction(str(level["points"])) for level in levels}
        effective_on = document.get("effective_on")
        clause_of_row: dict[int, str] = {}
        for clause in document.get("clauses", ()):
            for row in clause.get("rows", ()):
                clause_of_row.setdefault(int(row), clause["id"])
        return cls(
            id=document["id"],
            version=document["version"],
            name=document["name"],
            effective_on=None if effective_on is None else _day(effective_on),
            items={item["id"]: _item(item) for item in document.get("items", ())},
            dimensions=(
                *(_dimension(entry, FACILITY) for entry in document.get("facility_requirements", ())),
                *(_dimension(entry, QUALITY) for entry in document.get("contest_events", ())),
            ),
            phrases=tuple(Phrase(entry["id"], entry["name"]) for entry in document.get("phrases", ())),
            target=Fraction(str(policy.get("satisfaction_target", "0.95"))),
            reference=Fraction(str(policy.get("reference_line", "0.85"))),
            points={**DEFAULT_POINTS, **points},
            clause_of_row=clause_of_row,
        )


Campaigns = Mapping[int, Campaign]
"""The known versions of one campaign by version number."""


def effective(campaigns: Campaigns, today: date) -> Campaign | None:
    """The highest version in effect on `today`; before any is, the first one; None while none is known."""
    if not campaigns:
        return None
    in_effect = [c.version for c in campaigns.values() if c.effective_on is None or c.effective_on <= today]
    return campaigns[max(in_effect) if in_effect else min(campaigns)]


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _dimension(entry: Mapping[str, Any], axis: str) -> Dimension:
    return Dimension(entry["id"], axis, entry["name"], entry["clause"], int(entry.get("weight", 1)))


def _item(entry: Mapping[str, Any]) -> Item:
    return Item(
        id=entry["id"],
        name=entry["name"],
        clause=entry["clause"],
        dimension=entry["dimension"],
        axis=entry["axis"],
        phrase=entry.get("phrase"),
        kind=entry["kind"],
        maximum=entry.get("max"),
        weight=int(entry.get("weight", 1)),
        pass_at=Fraction(str(entry.get("pass_at") or "1")),
        required=bool(entry.get("required", False)),
        critical=bool(entry.get("critical", False)),
    )
