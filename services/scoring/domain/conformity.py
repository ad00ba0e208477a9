"""Whether a window, an industry, a city conforms on the three axes, and what exactly stands in the way.

"全面" allows no averaging: one required item that fails, one facility requirement never looked at, and the
window does not conform; one window, and neither its industry nor the city does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .arithmetic import fixed
from .campaign import AXES, FACILITY, Campaign
from .items import ScoredAnswer

FACILITIES = "facilities"


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that stands in the way.

    An item that fails, or a facility requirement (its id as `item`) without a state.
    """

    axis: str
    item: str
    name: str
    clause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Conformity:
    """A window's gaps; it conforms on an axis without gaps on it, and altogether without any."""

    gaps: tuple[Gap, ...]

    @property
    def conforming(self) -> bool:
        """On all three axes."""
        return not self.gaps

    def on(self, axis: str) -> tuple[Gap, ...]:
        """The gaps on one axis."""
        return tuple(gap for gap in self.gaps if gap.axis == axis)


def window_conformity(campaign: Campaign, states: Mapping[str, ScoredAnswer]) -> Conformity:
    """Every required item with a state passes, and every facility requirement has a state.

    Flags are those of the version the deciding visit was made under. An item that the version in effect has
    dropped no longer applies: no visit could ever clear it.
    """
    gaps = [_failed(state) for state in states.values() if _stands(campaign, state)]
    seen = {state.item.dimension for state in states.values()}
    for requirement in campaign.dimensions_of(FACILITY):
        if requirement.id not in seen:
            gaps.append(
                Gap(FACILITIES, requirement.id, requirement.name, requirement.clause, "该项要求尚无查访结果")
            )
    return Conformity(tuple(sorted(gaps, key=lambda gap: (AXES.index(gap.axis), gap.item))))


def all_conform(open_windows: Iterable[bool]) -> bool:
    """For an industry or a city: it has open windows, and each of them conforms."""
    conforming = list(open_windows)
    return bool(conforming) and all(conforming)


def _stands(campaign: Campaign, state: ScoredAnswer) -> bool:
    return state.item.required and not state.passes and state.item.id in campaign.items


def _failed(state: ScoredAnswer) -> Gap:
    item = state.item
    reason = "必查项不合格"
    if item.kind != "pass_fail":
        reason += f"：得分率 {fixed(100 * state.score, 2)}%，应不低于 {fixed(100 * item.pass_at, 2)}%"
    return Gap(item.axis, item.id, item.name, item.clause, reason)
