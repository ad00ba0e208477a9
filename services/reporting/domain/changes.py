"""What a reader is told when a figure changes: facility and quality, conformity, verdict, opening.

Satisfaction moves with each batch of ratings and would crowd out everything else: its verdict is told.
Industries and the city move with each of their windows: of them only conformity and verdict are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

KEPT = 50
WATCHED: dict[str, tuple[str, ...]] = {
    "window": ("open", "conforming", "verdict", "facility", "quality"),
    "industry": ("conforming", "verdict"),
    "city": ("conforming", "verdict"),
}
_SILENT_AT_FIRST: dict[str, Any] = {
    "open": True,
    "conforming": False,
    "verdict": "insufficient",
    "facility": None,
    "quality": None,
}


class Shift(TypedDict):
    """``what`` went ``from`` a value (None: there was none) ``to`` another."""

    what: str
    before: Any
    after: Any


def watched(level: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a figure whose change is told, by name."""
    conformity = figure.get("conformity") or {}
    satisfaction = figure.get("satisfaction") or {}
    values = {
        "open": figure.get("open", True),
        "conforming": conformity.get("conforming", False),
        "verdict": satisfaction.get("verdict", "insufficient"),
        "facility": figure.get("facility"),
        "quality": figure.get("quality"),
    }
    return {name: values[name] for name in WATCHED[level]}


def shifts(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Shift]:
    """From → to of each watched value that differs; of a first one (``before`` None) what tells something."""
    told: list[Shift] = []
    for name, value in after.items():
        previous = _SILENT_AT_FIRST[name] if before is None else before.get(name)
        if value != previous:
            told.append(Shift(what=name, before=None if before is None else previous, after=value))
    return told
