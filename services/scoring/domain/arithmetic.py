"""Exact arithmetic of the score: rounding happens in one place and in one way, half up.

Figures are points on 0–100 held as `Fraction`. Only two things are ever rounded: a visit's dimension
figure, once, to integer micro-points, and a figure that leaves the service.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

MICRO = 1_000_000
"""Micro-points in one point: 100.000000 points are 100_000_000 micro-points."""


def half_up(value: Fraction) -> int:
    """The integer nearest to `value`; a half goes up (towards +∞)."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def micro_points(points: Fraction) -> int:
    """`points` (0–100) as integer micro-points, rounded half up."""
    return half_up(points * MICRO)


def fixed(value: Fraction, places: int) -> str:
    """`value` written with exactly `places` decimals (at least one), rounded half up.

    For example fixed(1/3, 2) is '0.33'.
    """
    scaled = half_up(value * 10**places)
    sign = "-" if scaled < 0 else ""
    whole, rest = divmod(abs(scaled), 10**places)
    return f"{sign}{whole}.{rest:0{places}d}"


def mean(values: list[Fraction]) -> Fraction | None:
    """The unweighted mean, exact; None of nothing."""
    return weighted_mean([(1, value) for value in values])


def weighted_mean(pairs: list[tuple[int, Fraction]]) -> Fraction | None:
    """Σ w·v / Σ w over (weight, value) pairs, exact; None where the weights sum to nothing."""
    total = sum(weight for weight, _ in pairs)
    if total <= 0:
        return None
    # One common denominator instead of a reduction after each addition: the same value, several times faster.
    common = lcm(*(value.denominator for _, value in pairs))
    return Fraction(
        sum(weight * value.numerator * (common // value.denominator) for weight, value in pairs),
        common * total,
    )
