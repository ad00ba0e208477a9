"""The figures of the ten dimensions, the four phrases, facility F and quality Q of a window. All in points,
0–100.

A facility dimension shows how the window stands: the latest answer to each item. A quality dimension shows
how it has served: the mean over all counted visits. (Clauses 四.1 and 四.2 of the Changzhou notice of
2007.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from .arithmetic import MICRO, micro_points, weighted_mean
from .campaign import FACILITY, QUALITY, Campaign, Dimension, Phrase
from .items import ScoredAnswer

QualityOfVisit = Mapping[str, int]
"""Dimension id → micro-points, only for dimensions the visit has an applicable answer in."""


@dataclass(frozen=True, slots=True)
class DimensionFigure:
    """A dimension of a window: its figure or None, and how many of its items have a state."""

    dimension: Dimension
    figure: Fraction | None
    items_with_state: int
    items: int


@dataclass(frozen=True, slots=True)
class PhraseFigure:
    """A phrase of the facility standard: its figure or None."""

    phrase: Phrase
    figure: Fraction | None


def weighted_score(answers: Iterable[ScoredAnswer]) -> Fraction | None:
    """100 · Σ w·s / Σ w, exact; None without a weight to divide by."""
    mean = weighted_mean([(answer.item.weight, answer.score) for answer in answers])
    return None if mean is None else 100 * mean


def quality_of_visit(answers: Iterable[ScoredAnswer], campaign: Campaign) -> dict[str, int]:
    """Each quality dimension of one visit in micro-points, rounded half up once, from the visit's own
    applicable answers.
    """
    by_dimension: dict[str, list[ScoredAnswer]] = {}
    for answer in answers:
        by_dimension.setdefault(answer.item.dimension, []).append(answer)
    figures = {d.id: weighted_score(by_dimension.get(d.id, ())) for d in campaign.dimensions_of(QUALITY)}
    return {id_: micro_points(figure) for id_, figure in figures.items() if figure is not None}


def quality_of_window(visits: Iterable[QualityOfVisit], dimension: str) -> Fraction | None:
    """The mean over the visits that have a figure: an integer sum of micro-points over an integer count."""
    figures = [visit[dimension] for visit in visits if dimension in visit]
    return Fraction(sum(figures), len(figures) * MICRO) if figures else None


def dimension_figures(
    campaign: Campaign, states: Mapping[str, ScoredAnswer], visits: Iterable[QualityOfVisit]
) -> tuple[DimensionFigure, ...]:
    """All dimensions of the campaign version in effect, with the window's figures."""
    counted = list(visits)
    answered: dict[str, list[ScoredAnswer]] = {}
    for state in states.values():
        answered.setdefault(state.item.dimension, []).append(state)
    asked: dict[str, set[str]] = {}
    for item in campaign.items.values():
        asked.setdefault(item.dimension, set()).add(item.id)
    figures = []
    for dimension in campaign.dimensions:
        of_dimension = answered.get(dimension.id, [])
        if dimension.axis == FACILITY:
            figure = weighted_score(of_dimension)
        else:
            figure = quality_of_window(counted, dimension.id)
        items = asked.get(dimension.id, set()) | {state.item.id for state in of_dimension}
        figures.append(DimensionFigure(dimension, figure, len(of_dimension), len(items)))
    return tuple(figures)


def axis_figure(figures: Iterable[DimensionFigure], axis: str) -> Fraction | None:
    """F (axis FACILITY) or Q (QUALITY).

    The mean weighted over the dimensions that have a figure; None without any.
    """
    return weighted_mean(
        [(f.dimension.weight, f.figure) for f in figures if f.dimension.axis == axis and f.figure is not None]
    )


def phrase_figures(campaign: Campaign, states: Mapping[str, ScoredAnswer]) -> tuple[PhraseFigure, ...]:
    """The sub-scores of the four phrases: 100 · Σ w·s / Σ w over the phrase's items that have a state."""
    by_phrase: dict[str, list[ScoredAnswer]] = {}
    for state in states.values():
        if state.item.phrase is not None:
            by_phrase.setdefault(state.item.phrase, []).append(state)
    return tuple(PhraseFigure(p, weighted_score(by_phrase.get(p.id, ()))) for p in campaign.phrases)
