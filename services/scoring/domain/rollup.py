"""Industry and city: what the open windows come to together.

F and Q are unweighted means over the open windows that have the figure, with coverage; satisfaction is
pooled over all windows, so that the ratings of a closed window stay; conforming needs open windows, all of
which conform.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from .arithmetic import mean
from .campaign import AXES, Campaigns, effective
from .conformity import Gap, all_conform
from .ratings import LevelCounts, total
from .satisfaction import Satisfaction, satisfaction
from .window import Coverage, Missing, NoCampaign, WindowState


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """The part of a window's judgement that its industry and city need; small, exact, storable."""

    code: str
    name: str
    industry: str
    open: bool
    facility: Fraction | None
    quality: Fraction | None
    counts: LevelCounts
    settled: LevelCounts
    gaps: tuple[Gap, ...]
    coverage: Coverage

    @property
    def conforming(self) -> bool:
        """No gap on any axis."""
        return not self.gaps

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form with exact fractions as strings; `from_document` reads it back."""
        return {
            "code": self.code,
            "name": self.name,
            "industry": self.industry,
            "open": self.open,
            "facility": None if self.facility is None else str(self.facility),
            "quality": None if self.quality is None else str(self.quality),
            "counts": list(self.counts),
            "settled": list(self.settled),
            "gaps": [[gap.axis, gap.item, gap.name, gap.clause, gap.reason] for gap in self.gaps],
            "coverage": [
                self.coverage.visits,
                self.coverage.items_with_state,
                self.coverage.items,
                self.coverage.dimensions_with_figure,
                self.coverage.dimensions,
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> WindowSummary:
        """Reads what `to_document` wrote."""
        facility, quality = document["facility"], document["quality"]
        return cls(
            code=document["code"],
            name=document["name"],
            industry=document["industry"],
            open=document["open"],
            facility=None if facility is None else Fraction(facility),
            quality=None if quality is None else Fraction(quality),
            counts=_levels(document["counts"]),
            settled=_levels(document["settled"]),
            gaps=tuple(Gap(*gap) for gap in document["gaps"]),
            coverage=Coverage(*document["coverage"]),
        )


@dataclass(frozen=True, slots=True)
class WindowGap:
    """A gap and the window it is in."""

    window: str
    name: str
    industry: str
    gap: Gap


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """How many windows are open, how many of these conform, how many have F and Q."""

    open: int
    conforming: int
    with_facility: int
    with_quality: int


@dataclass(frozen=True, slots=True)
class IndustryCounts:
    """How many industries the registry names, how many have open windows, how many of these conform."""

    total: int
    with_open_windows: int
    conforming: int


@dataclass(frozen=True, slots=True)
class RollUp:
    """The judgement on an industry, or on the city (`industries` is then set)."""

    level: str
    code: str
    name: str
    campaign: str
    campaign_version: int
    facility: Fraction | None
    quality: Fraction | None
    satisfaction: Satisfaction
    conforming: bool
    gaps: tuple[WindowGap, ...]
    coverage: Coverage
    windows: WindowCounts
    industries: IndustryCounts | None
    missing: tuple[Missing, ...]

    def on(self, axis: str) -> tuple[WindowGap, ...]:
        """The gaps on one axis, by window code."""
        return tuple(gap for gap in self.gaps if gap.gap.axis == axis)


def summary(state: WindowState) -> WindowSummary:
    """What the roll-ups need of a window."""
    return WindowSummary(
        code=state.window.code,
        name=state.window.name,
        industry=state.window.industry,
        open=state.open,
        facility=state.facility,
        quality=state.quality,
        counts=state.satisfaction.counts,
        settled=state.satisfaction.settled,
        gaps=state.conformity.gaps,
        coverage=state.coverage,
    )


def industry_state(
    code: str,
    name: str,
    windows: Iterable[WindowSummary],
    campaigns: Campaigns,
    completed_day: date | None,
    today: date,
) -> RollUp:
    """The judgement on one industry from the summaries of all its windows, closed ones included, in any
    order.
    """
    return _roll_up("industry", code, name, list(windows), None, (), campaigns, completed_day, today)


def city_state(
    code: str,
    name: str,
    industries: Iterable[str],
    windows: Iterable[WindowSummary],
    campaigns: Campaigns,
    completed_day: date | None,
    today: date,
    unknown_windows: Iterable[str] = (),
) -> RollUp:
    """The judgement on the city from the summaries of all windows, in any order.

    `industries` are the registry's codes; `unknown_windows` are codes that facts name and the registry does
    not: their facts are left out, and said so.
    """
    summaries = list(windows)
    open_by_industry: dict[str, list[bool]] = {}
    for window in summaries:
        if window.open:
            open_by_industry.setdefault(window.industry, []).append(window.conforming)
    known = set(industries)
    counts = IndustryCounts(
        total=len(known),
        with_open_windows=len(known & open_by_industry.keys()),
        conforming=sum(all_conform(open_by_industry.get(industry, ())) for industry in known),
    )
    unknown = tuple(
        Missing(f"window:{window}", "名录中尚无该窗口，其查访与评价暂不计入")
        for window in sorted(set(unknown_windows))
    )
    return _roll_up("city", code, name, summaries, counts, unknown, campaigns, completed_day, today)


def _roll_up(
    level: str,
    code: str,
    name: str,
    windows: list[WindowSummary],
    industries: IndustryCounts | None,
    unknown: tuple[Missing, ...],
    campaigns: Campaigns,
    completed_day: date | None,
    today: date,
) -> RollUp:
    campaign = effective(campaigns, today)
    if campaign is None:
        raise NoCampaign("campaign: no version has been published yet")
    standing = sorted((window for window in windows if window.open), key=lambda window: window.code)
    facilities = [window.facility for window in standing if window.facility is not None]
    qualities = [window.quality for window in standing if window.quality is not None]
    counts = total(window.counts for window in windows)
    settled = total(window.settled for window in windows)
    gaps = [WindowGap(w.code, w.name, w.industry, gap) for w in standing for gap in w.gaps]
    return RollUp(
        level=level,
        code=code,
        name=name,
        campaign=campaign.id,
        campaign_version=campaign.version,
        facility=mean(facilities),
        quality=mean(qualities),
        satisfaction=satisfaction(counts, settled, completed_day, campaign),
        conforming=all_conform(window.conforming for window in standing),
        gaps=tuple(sorted(gaps, key=lambda gap: AXES.index(gap.gap.axis))),
        coverage=sum((window.coverage for window in standing), Coverage()),
        windows=WindowCounts(
            len(standing), sum(window.conforming for window in standing), len(facilities), len(qualities)
        ),
        industries=industries,
        missing=(*_without_figure(standing, len(facilities), len(qualities), sum(counts)), *unknown),
    )


def _without_figure(standing: list[WindowSummary], facilities: int, qualities: int, n: int) -> list[Missing]:
    missing = []
    if not standing:
        missing.append(Missing("windows", "没有开放的窗口"))
    if facilities < len(standing):
        missing.append(Missing("facility", f"{len(standing) - facilities} 个开放窗口尚无设施得分"))
    if qualities < len(standing):
        missing.append(Missing("quality", f"{len(standing) - qualities} 个开放窗口尚无质量得分"))
    if n == 0:
        missing.append(Missing("satisfaction", "尚无有效评价"))
    return missing


def _levels(values: Iterable[int]) -> LevelCounts:
    five, four, three, two, one = values
    return five, four, three, two, one
