"""Satisfaction in three definitions, its Wilson bounds, the verdict on the target and the ratings still
needed.

Clause 一.2: 综合满意度 95 %. Interval: E. B. Wilson, "Probable inference, the law of succession, and
statistical inference", JASA 22 (1927) 209–212, at 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from .campaign import LEVELS, Campaign
from .ratings import LevelCounts

Z_SQUARED = Fraction("3.841458820694124")
MET, MISSED, INSUFFICIENT = "met", "missed", "insufficient"
_TEN_PLACES = Decimal(1).scaleb(-10)


@dataclass(frozen=True, slots=True)
class Satisfaction:
    """What citizens said. `counts` are all counted ratings; `settled` those the verdict rests on, up to
    `verdict_day`.

    Ratios are exact in 0–1, `index` in points; all are None for n = 0.
    """

    counts: LevelCounts
    settled: LevelCounts
    lenient: Fraction | None
    strict: Fraction | None
    index: Fraction | None
    wilson: tuple[Decimal, Decimal] | None
    target: Fraction
    reference: Fraction
    verdict: str
    verdict_day: date | None
    ratings_needed: int | None

    @property
    def n(self) -> int:
        """How many ratings count."""
        return sum(self.counts)

    @property
    def verdict_n(self) -> int:
        """How many ratings the verdict rests on."""
        return sum(self.settled)


def satisfaction(
    counts: LevelCounts, settled: LevelCounts, completed_day: date | None, campaign: Campaign
) -> Satisfaction:
    """The whole figure from pooled counts; `settled` are the counts up to the last completed campaign day."""
    n, x = sum(counts), content(counts)
    return Satisfaction(
        counts=counts,
        settled=settled,
        lenient=Fraction(x, n) if n else None,
        strict=Fraction(counts[0] + counts[1], n) if n else None,
        index=mean_points(counts, campaign.points),
        wilson=wilson_bounds(x, n) if n else None,
        target=campaign.target,
        reference=campaign.reference,
        verdict=verdict(content(settled), sum(settled), campaign.target),
        verdict_day=completed_day,
        ratings_needed=ratings_needed(x, n, campaign.target),
    )


def content(counts: LevelCounts) -> int:
    """The ratings of the top three levels: the lenient numerator, on which target and verdict rest."""
    return counts[0] + counts[1] + counts[2]


def mean_points(counts: LevelCounts, points: Mapping[int, Fraction]) -> Fraction | None:
    """The index: the mean of the level points (100/80/60/30/0 unless the campaign says otherwise)."""
    n = sum(counts)
    if not n:
        return None
    return sum((points[level] * counts[i] for i, level in enumerate(LEVELS)), Fraction(0)) / n


def verdict(x: int, n: int, target: Fraction) -> str:
    """Exact, without a root: the target against the Wilson interval of x content ratings out of n.

    MET iff x ≥ nT and (x − nT)² ≥ z²·n·T·(1 − T); MISSED iff x < nT and (x − nT)² > the same; else
    INSUFFICIENT.
    """
    if n == 0:
        return INSUFFICIENT
    distance = x - n * target
    bar = Z_SQUARED * n * target * (1 - target)
    if distance >= 0:
        return MET if distance * distance >= bar else INSUFFICIENT
    return MISSED if distance * distance > bar else INSUFFICIENT


def ratings_needed(x: int, n: int, target: Fraction) -> int | None:
    """How many more ratings a verdict needs if the rate stays x/n.

    0 when there are enough; None at x/n = T and for n = 0.
    """
    if n == 0 or x == n * target:
        return None
    distance = Fraction(x, n) - target
    needed = Z_SQUARED * target * (1 - target) / (distance * distance)
    return max(0, -(-needed.numerator // needed.denominator) - n)


def wilson_bounds(x: int, n: int) -> tuple[Decimal, Decimal]:
    """The 95 % Wilson interval of x out of n ≥ 1, computed in 50 digits, to ten places half up."""
    with localcontext() as context:
        context.prec = 50
        z2 = Decimal(Z_SQUARED.numerator) / Decimal(Z_SQUARED.denominator)
        root = (z2 * z2 + 4 * z2 * x * (n - x) / n).sqrt()
        low = (2 * x + z2 - root) / (2 * (n + z2))
        high = (2 * x + z2 + root) / (2 * (n + z2))
        # At 0 and at 100 % a bound is exactly 0 or 1, whatever the last digit of the root.
        low = Decimal(0) if x == 0 else low
        high = Decimal(1) if x == n else high
        return low.quantize(_TEN_PLACES, ROUND_HALF_UP), high.quantize(_TEN_PLACES, ROUND_HALF_UP)
