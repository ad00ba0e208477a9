"""Figures as they leave the service: plain JSON-able values, rounded here and nowhere else.

Points ('87.35', 0–100) have two decimals, half up. Ratios are strings in 0–1: lenient and strict with four
decimals (percentages with two), Wilson bounds with ten, target and reference as the campaign states them.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .arithmetic import MICRO, fixed
from .campaign import AXES, LEVELS
from .conformity import Gap
from .explanation import Explanation
from .facts import instant_text
from .ratings import LevelCounts
from .rollup import RollUp, WindowGap
from .satisfaction import Satisfaction
from .window import Coverage, Missing, WindowState

Document = dict[str, Any]


def window_document(state: WindowState) -> Document:
    """The published judgement on a window."""
    return {
        "level": "window",
        "code": state.window.code,
        "name": state.window.name,
        "industry": state.window.industry,
        "campaign": state.campaign,
        "campaign_version": state.campaign_version,
        "facility": points(state.facility),
        "quality": points(state.quality),
        "dimensions": [
            {
                "id": figure.dimension.id,
                "axis": figure.dimension.axis,
                "name": figure.dimension.name,
                "figure": points(figure.figure),
                "weight": figure.dimension.weight,
                "items_with_state": figure.items_with_state,
                "items": figure.items,
            }
            for figure in state.dimensions
        ],
        "phrases": [
            {"id": figure.phrase.id, "name": figure.phrase.name, "figure": points(figure.figure)}
            for figure in state.phrases
        ],
        "satisfaction": satisfaction_document(state.satisfaction),
        "conformity": {
            "conforming": state.conformity.conforming,
            "axes": [_axis(axis, [_gap(gap) for gap in state.conformity.on(axis)]) for axis in AXES],
        },
        "coverage": _coverage(state.coverage),
        "missing": _missing(state.missing),
        "open": state.open,
    }


def rollup_document(state: RollUp) -> Document:
    """The published judgement on an industry or on the city.

    An industry names every gap of every window; the city names for each window and axis the items, to stay
    readable.
    """
    document: Document = {
        "level": state.level,
        "code": state.code,
        "name": state.name,
        "campaign": state.campaign,
        "campaign_version": state.campaign_version,
        "facility": points(state.facility),
        "quality": points(state.quality),
        "satisfaction": satisfaction_document(state.satisfaction),
        "conformity": {"conforming": state.conforming, "axes": [_rollup_axis(state, axis) for axis in AXES]},
        "coverage": _coverage(state.coverage),
        "missing": _missing(state.missing),
        "windows": {
            "open": state.windows.open,
            "conforming": state.windows.conforming,
            "with_facility": state.windows.with_facility,
            "with_quality": state.windows.with_quality,
        },
    }
    if state.industries is not None:
        document["industries"] = {
            "total": state.industries.total,
            "with_open_windows": state.industries.with_open_windows,
            "conforming": state.industries.conforming,
        }
    return document


def satisfaction_document(figure: Satisfaction) -> Document:
    """The published satisfaction, always with n and the target."""
    low, high = figure.wilson if figure.wilson is not None else (None, None)
    return {
        "n": figure.n,
        "counts": _levels(figure.counts),
        "lenient": _ratio(figure.lenient),
        "strict": _ratio(figure.strict),
        "index": points(figure.index),
        "wilson_low": None if low is None else f"{low:f}",
        "wilson_high": None if high is None else f"{high:f}",
        "target": _as_stated(figure.target),
        "reference": _as_stated(figure.reference),
        "verdict": figure.verdict,
        "verdict_day": None if figure.verdict_day is None else figure.verdict_day.isoformat(),
        "verdict_n": figure.verdict_n,
        "ratings_needed": figure.ratings_needed,
    }


def explanation_document(explanation: Explanation) -> Document:
    """The published explanation; `score` is the exact fraction and its decimal, as in '2/3 (0.6667)'."""
    return {
        "code": explanation.code,
        "items": [
            {
                "item": answer.scored.item.id,
                "name": answer.scored.item.name,
                "clause": answer.scored.item.clause,
                "dimension": answer.scored.item.dimension,
                "campaign_version": answer.scored.campaign_version,
                "visit": answer.scored.visit,
                "occurred_at": instant_text(answer.scored.occurred_at),
                "answer": answer.scored.answer.form(),
                "score": f"{answer.scored.score} ({fixed(answer.scored.score, 4)})",
                "passes": answer.scored.passes,
                "weight": answer.scored.item.weight,
                "required": answer.scored.item.required,
                "critical": answer.scored.item.critical,
                "rule": answer.rule,
            }
            for answer in explanation.items
        ],
        "visits": [
            {
                "visit": visit.id,
                "occurred_at": instant_text(visit.occurred_at),
                "campaign_version": visit.campaign_version,
                "quality": {id_: fixed(Fraction(micro, MICRO), 2) for id_, micro in quality.items()},
            }
            for visit, quality in explanation.visits
        ],
        "ratings": [
            {"channel": channel, "day": day.isoformat(), "counts": _levels(counts)}
            for (channel, day), counts in explanation.ratings
        ],
        "rules": [
            {
                "figure": rule.figure,
                "formula": rule.formula,
                "clause": rule.clause,
                "policy_version": rule.policy_version,
            }
            for rule in explanation.rules
        ],
        "missing": _missing(explanation.missing),
    }


def points(figure: Fraction | None) -> str | None:
    """A figure in points with two decimals, half up: '87.35'."""
    return None if figure is None else fixed(figure, 2)


def _ratio(figure: Fraction | None) -> str | None:
    return None if figure is None else fixed(figure, 4)


def _as_stated(ratio: Fraction) -> str:
    return f"{Decimal(ratio.numerator) / Decimal(ratio.denominator):f}"


def _levels(counts: LevelCounts) -> dict[str, int]:
    return {str(level): counts[index] for index, level in enumerate(LEVELS)}


def _gap(gap: Gap) -> Document:
    return {"item": gap.item, "name": gap.name, "clause": gap.clause, "reason": gap.reason}


def _axis(axis: str, gaps: list[Document], conforming: bool | None = None) -> Document:
    return {"axis": axis, "conforming": not gaps if conforming is None else conforming, "gaps": gaps}


def _rollup_axis(state: RollUp, axis: str) -> Document:
    gaps = state.on(axis)
    named = _by_window(gaps) if state.level == "city" else [_window_gap(gap) for gap in gaps]
    return _axis(axis, named, conforming=not gaps and state.windows.open > 0)


def _window_gap(gap: WindowGap) -> Document:
    return {"window": gap.window, "window_name": gap.name, **_gap(gap.gap)}


def _by_window(gaps: Iterable[WindowGap]) -> list[Document]:
    of_window: dict[str, list[WindowGap]] = {}
    for gap in gaps:
        of_window.setdefault(gap.window, []).append(gap)
    return [
        {
            "window": window,
            "window_name": found[0].name,
            "industry": found[0].industry,
            "items": [gap.gap.item for gap in found],
            "reason": f"{len(found)} 项未达标",
        }
        for window, found in of_window.items()
    ]


def _coverage(coverage: Coverage) -> Document:
    return {
        "visits": coverage.visits,
        "items_with_state": coverage.items_with_state,
        "items": coverage.items,
        "dimensions_with_figure": coverage.dimensions_with_figure,
        "dimensions": coverage.dimensions,
    }


def _missing(missing: Iterable[Missing]) -> list[Document]:
    return [{"what": entry.what, "reason": entry.reason} for entry in missing]
