"""When a window is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.inspection.domain.registry import Registry


@dataclass(frozen=True)
class Window:
    """The days of a window. From ``closed_on`` itself on it is closed."""

    code: str
    opened_on: date
    closed_on: date | None


def day_problem(window: Window, day: date) -> str | None:
    """Why nothing can have happened at the window on that day, or None."""
    if day < window.opened_on:
        return f"窗口 {window.code} 当日尚未开办 / the window opens on {window.opened_on}, after {day}"
    if window.closed_on is not None and day >= window.closed_on:
        return (
            f"窗口 {window.code} 当日已关闭 / "
            f"the window is closed from {window.closed_on} on; {day} is not before it"
        )
    return None


def is_closed(window: Mapping[str, Any], today: date) -> bool:
    """The registered window is closed on ``today``."""
    return bool(window.get("closed_on")) and date.fromisoformat(window["closed_on"]) <= today


def merged(stored: Mapping[str, Any] | None, imported: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The window as it is registered from now on: as imported, but a closed one keeps its closing day.

    Both have the contract's ``WindowFact`` fields, ``version`` only where stored; the answer's version is
    one higher than the stored one if and only if something changed.
    """
    fresh = {name: value for name, value in imported.items() if name != "version"}
    if stored is None:
        return {**fresh, "version": 1}
    if is_closed(stored, today):
        fresh["closed_on"] = stored["closed_on"]
    changed = any(stored.get(name) != value for name, value in fresh.items())
    return {**fresh, "version": stored["version"] + changed}


def reopening_problem(
    stored: Mapping[str, Any] | None, imported: Mapping[str, Any], today: date
) -> str | None:
    """Why an import cannot move the closing day of a closed window, or None; a blank keeps it."""
    if stored is None or not is_closed(stored, today):
        return None
    if imported.get("closed_on") in (None, "", stored["closed_on"]):
        return None
    return (
        f"窗口 {stored['code']} 已于 {stored['closed_on']} 关闭，不可改期 / "
        f"the window is closed since {stored['closed_on']}; "
        f"its closing day cannot become {imported['closed_on']}"
    )


def window_facts(registry: Registry) -> list[dict[str, Any]]:
    """The registry's windows, units and industries named (the contract's ``WindowFact`` without version)."""
    units = {unit["code"]: unit for unit in registry.units}
    industries = {industry["code"]: industry["name"] for industry in registry.industries}
    return [
        {
            "code": window["code"],
            "name": window["name"],
            "unit": window["unit"],
            "unit_name": units[window["unit"]]["name"],
            "industry": units[window["unit"]]["industry"],
            "industry_name": industries[units[window["unit"]]["industry"]],
            "district": window["district"],
            "address": window["address"],
            "opened_on": window["opened_on"],
            "closed_on": window.get("closed_on"),
            "contact_name": window["contact_name"],
            "contact_email": window["contact_email"],
        }
        for window in registry.windows
    ]
