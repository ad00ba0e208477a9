"""The whole judgement on one window, from its compact facts.

What it scores, whether it conforms, what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from .campaign import FACILITY, QUALITY, Campaign, Campaigns, effective
from .conformity import Conformity, window_conformity
from .dimensions import (
    DimensionFigure,
    PhraseFigure,
    QualityOfVisit,
    axis_figure,
    dimension_figures,
    phrase_figures,
    quality_of_visit,
)
from .facts import Visit, instant_text, order
from .items import AnswerDoesNotFit, ScoredAnswer, item_states, score_answers
from .ratings import DayKey, LevelCounts, total, up_to
from .satisfaction import Satisfaction, satisfaction


class NoCampaign(LookupError):
    """No campaign version is known yet, so nothing can be judged."""


@dataclass(frozen=True, slots=True)
class WindowInfo:
    """A window of the registry. It is open from `opened_on` up to the day before `closed_on`."""

    code: str
    name: str
    unit: str
    industry: str
    district: str
    opened_on: date
    closed_on: date | None = None

    def open_on(self, day: date) -> bool:
        """From its closing day on a window is no longer open."""
        return self.opened_on <= day and (self.closed_on is None or day < self.closed_on)


@dataclass(frozen=True, slots=True)
class VisitFact:
    """A visit as scoring stores it: the version that holds, with its quality figures worked out once.

    `quality` is None while the visit's campaign version is unknown or its answers do not fit that version;
    otherwise quality dimension → micro-points, {} where the visit says nothing about quality.
    """

    visit: Visit
    quality: QualityOfVisit | None

    def to_document(self) -> dict[str, Any]:
        """The compact stored form; `from_document` reads it back."""
        visit = self.visit
        return {
            "id": visit.id,
            "version": visit.version,
            "window": visit.window,
            "occurred_at": instant_text(visit.occurred_at),
            "campaign_version": visit.campaign_version,
            "voided": visit.voided,
            "answers": [answer.to_document() for answer in visit.answers],
            "quality": None if self.quality is None else dict(self.quality),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> VisitFact:
        """Reads what `to_document` wrote."""
        return cls(Visit.from_document(document), document["quality"])


@dataclass(frozen=True, slots=True)
class Missing:
    """What a figure lacks: `what` is 'kind:id' or the name of a figure, `reason` is for people."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """On how much a judgement rests. Roll-ups add these up over their open windows."""

    visits: int = 0
    items_with_state: int = 0
    items: int = 0
    dimensions_with_figure: int = 0
    dimensions: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.visits + other.visits,
            self.items_with_state + other.items_with_state,
            self.items + other.items,
            self.dimensions_with_figure + other.dimensions_with_figure,
            self.dimensions + other.dimensions,
        )


@dataclass(frozen=True, slots=True)
class WindowState:
    """The judgement on a window. Figures are exact points (0–100) or None."""

    window: WindowInfo
    campaign: str
    campaign_version: int
    facility: Fraction | None
    quality: Fraction | None
    dimensions: tuple[DimensionFigure, ...]
    phrases: tuple[PhraseFigure, ...]
    satisfaction: Satisfaction
    conformity: Conformity
    coverage: Coverage
    missing: tuple[Missing, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class CountedVisits:
    """The visits that count, in the order of facts, each with its quality figures.

    `left_out` names the others, each with the reason.
    """

    visits: tuple[tuple[Visit, QualityOfVisit], ...]
    left_out: tuple[Missing, ...]


def compact(visit: Visit, campaigns: Campaigns) -> VisitFact:
    """The form to store.

    A visit of an unknown campaign version, or with answers that do not fit it, keeps quality None.
    """
    campaign = campaigns.get(visit.campaign_version)
    if campaign is None or visit.voided:
        return VisitFact(visit, None)
    try:
        return VisitFact(visit, quality_of_visit(score_answers(visit, campaign), campaign))
    except AnswerDoesNotFit:
        return VisitFact(visit, None)


def counted_visits(facts: Iterable[VisitFact], campaigns: Campaigns) -> CountedVisits:
    """All visits neither void, nor of an unknown campaign version, nor unfit for it."""
    visits: list[tuple[Visit, QualityOfVisit]] = []
    left_out: list[Missing] = []
    for fact in sorted(facts, key=lambda fact: order(fact.visit)):
        visit = fact.visit
        campaign = campaigns.get(visit.campaign_version)
        if visit.voided:
            continue
        if campaign is None:
            reason = f"活动方案第 {visit.campaign_version} 版尚未到达，该次查访暂不计分"
            left_out.append(Missing(f"visit:{visit.id}", reason))
        elif fact.quality is not None:
            visits.append((visit, fact.quality))
        else:
            try:
                visits.append((visit, quality_of_visit(score_answers(visit, campaign), campaign)))
            except AnswerDoesNotFit as error:
                left_out.append(
                    Missing(f"visit:{visit.id}", f"作答与活动方案不符，该次查访不计分（{error}）")
                )
    return CountedVisits(tuple(visits), tuple(left_out))


def window_state(
    window: WindowInfo,
    visits: Iterable[VisitFact],
    day_counts: Mapping[DayKey, LevelCounts],
    campaigns: Campaigns,
    completed_day: date | None,
    today: date,
) -> WindowState:
    """The judgement on `window` from all its compact facts, in any order.

    `day_counts` are its rating counts per (channel, Shanghai day); `completed_day` is the last completed
    campaign day, on which the verdict rests (None: none yet); `today` decides which campaign version is in
    effect and whether the window is open. Raises NoCampaign while no version is known.
    """
    campaign = _in_effect(campaigns, today)
    counted = counted_visits(visits, campaigns)
    states = item_states((visit for visit, _ in counted.visits), campaigns)
    dimensions = dimension_figures(campaign, states, (quality for _, quality in counted.visits))
    facility, quality = axis_figure(dimensions, FACILITY), axis_figure(dimensions, QUALITY)
    counts = total(day_counts.values())
    settled_days = [
        day
        for (_, day), levels in day_counts.items()
        if any(levels) and completed_day and day <= completed_day
    ]
    return WindowState(
        window=window,
        campaign=campaign.id,
        campaign_version=campaign.version,
        facility=facility,
        quality=quality,
        dimensions=dimensions,
        phrases=phrase_figures(campaign, states),
        # the day that last moved the verdict, so that a day without a rating leaves the figure as it was
        satisfaction=satisfaction(
            counts, up_to(day_counts, completed_day), max(settled_days, default=None), campaign
        ),
        conformity=window_conformity(campaign, states),
        coverage=_coverage(campaign, counted, states, dimensions),
        missing=(*_without_figure(facility, quality, dimensions, sum(counts)), *counted.left_out),
        open=window.open_on(today),
    )


def _in_effect(campaigns: Campaigns, today: date) -> Campaign:
    campaign = effective(campaigns, today)
    if campaign is None:
        raise NoCampaign("campaign: no version has been published yet")
    return campaign


def _coverage(
    campaign: Campaign,
    counted: CountedVisits,
    states: Mapping[str, ScoredAnswer],
    dimensions: tuple[DimensionFigure, ...],
) -> Coverage:
    return Coverage(
        visits=len(counted.visits),
        items_with_state=len(states),
        items=len(campaign.items.keys() | states.keys()),
        dimensions_with_figure=sum(d.figure is not None for d in dimensions),
        dimensions=len(dimensions),
    )


def _without_figure(
    facility: Fraction | None, quality: Fraction | None, dimensions: tuple[DimensionFigure, ...], n: int
) -> list[Missing]:
    missing = []
    if facility is None:
        missing.append(Missing("facility", "设施各项要求均无得分"))
    if quality is None:
        missing.append(Missing("quality", "质量竞赛各项均无得分"))
    if n == 0:
        missing.append(Missing("satisfaction", "尚无有效评价"))
    for figure in dimensions:
        if figure.figure is None:
            missing.append(
                Missing(f"dimension:{figure.dimension.id}", f"“{figure.dimension.name}”尚无有效作答")
            )
    return missing
