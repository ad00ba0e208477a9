"""Everything from all facts, by plain loops: the measure of what the incremental path has kept up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from .campaign import Campaigns
from .facts import Rating, Visit, latest_of_each
from .ratings import count
from .rollup import RollUp, city_state, industry_state, summary
from .window import WindowInfo, WindowState, compact, window_state


@dataclass(frozen=True, slots=True)
class Registry:
    """Industries (code → name) and windows (code → window), and the city's own code and name."""

    industries: Mapping[str, str]
    windows: Mapping[str, WindowInfo]
    city: str = "city"
    city_name: str = "全市"

    @classmethod
    def of_windows(cls, documents: Iterable[Mapping[str, Any]]) -> Registry:
        """Reads windows as inspection registers them, each with `industry` and `industry_name`."""
        industries: dict[str, str] = {}
        windows: dict[str, WindowInfo] = {}
        for document in documents:
            industries[document["industry"]] = document["industry_name"]
            windows[document["code"]] = window_info(document)
        return cls(industries, windows)


@dataclass(frozen=True, slots=True)
class CityScores:
    """The whole state: windows and industries by code, and the city."""

    windows: Mapping[str, WindowState]
    industries: Mapping[str, RollUp]
    city: RollUp


def window_info(document: Mapping[str, Any]) -> WindowInfo:
    """Reads a window as inspection registers it; dates as `date` or ISO text."""
    closed_on = document.get("closed_on")
    return WindowInfo(
        code=document["code"],
        name=document["name"],
        unit=document["unit"],
        industry=document["industry"],
        district=document.get("district", ""),
        opened_on=_day(document["opened_on"]),
        closed_on=None if closed_on is None else _day(closed_on),
    )


def rebuild(
    facts: Iterable[Visit | Rating],
    registry: Registry,
    campaigns: Campaigns,
    completed_day: date | None,
    today: date,
) -> CityScores:
    """The whole state from all versions of all facts, in any order, repeated or not.

    Raises NoCampaign while no campaign version is known.
    """
    visits_by_id: list[Visit] = []
    ratings_by_id: list[Rating] = []
    for fact in facts:
        if isinstance(fact, Visit):
            visits_by_id.append(fact)
        else:
            ratings_by_id.append(fact)
    visits: dict[str, list[Visit]] = {}
    for visit in latest_of_each(visits_by_id).values():
        visits.setdefault(visit.window, []).append(visit)
    counts = count(latest_of_each(ratings_by_id).values())

    windows: dict[str, WindowState] = {}
    for code, window in registry.windows.items():
        compacted = [compact(visit, campaigns) for visit in visits.get(code, ())]
        windows[code] = window_state(window, compacted, counts.get(code, {}), campaigns, completed_day, today)
    summaries = [summary(state) for state in windows.values()]
    industries: dict[str, RollUp] = {}
    for code, name in registry.industries.items():
        members = [window for window in summaries if window.industry == code]
        industries[code] = industry_state(code, name, members, campaigns, completed_day, today)
    unknown = (visits.keys() | counts.keys()) - windows.keys()
    city = city_state(
        registry.city,
        registry.city_name,
        registry.industries,
        summaries,
        campaigns,
        completed_day,
        today,
        unknown,
    )
    return CityScores(windows, industries, city)


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
