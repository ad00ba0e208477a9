"""What makes a citizen's rating acceptable (clause 四.3 满意度监测). Each rating is judged by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.inspection.domain.campaigns import Campaign
from services.inspection.domain.clock import day_of
from services.inspection.domain.windows import Window, day_problem

CONFLICT = "Conflict: 同一 id 已有不同内容 / the id was used before with another body"
DEFAULT = "默认好评不计 / a default rating does not count"


def problem_of(
    rating: Mapping[str, Any],
    window: Window | None,
    campaigns: Iterable[Campaign],
    now: datetime,
) -> str | None:
    """Why a rating of the contract's shape is refused, or None.

    ``campaigns``: the published ones in their latest versions. ``now``: the campaign clock.
    """
    if rating.get("default"):
        return DEFAULT
    if window is None:
        return f"未知窗口 / no such window: {rating['window']}"
    occurred_at = datetime.fromisoformat(rating["occurred_at"])
    if occurred_at > now:
        return f"时间在未来 / in the future: the campaign clock stands at {now.isoformat()}"
    day = day_of(occurred_at)
    known = list(campaigns)
    if not any(campaign.holds(day) for campaign in known):
        if known and all(day < campaign.opens for campaign in known):
            return f"早于活动开始 / before the campaign: {day}"
        return f"不在任何活动期间 / within no published campaign: {day}"
    return day_problem(window, day)


def fact_of(rating: Mapping[str, Any]) -> dict[str, Any]:
    """The fact a rating is (the shape of the contract's ``RatingFact``)."""
    return {
        "id": rating["id"],
        "version": 1,
        "window": rating["window"],
        "channel": rating["channel"],
        "level": rating["level"],
        "occurred_at": rating["occurred_at"],
        "voter": rating.get("voter"),
        "withdrawn": False,
    }


def withdrawn(fact: Mapping[str, Any]) -> dict[str, Any]:
    """The rating taken back, for ever."""
    return {**fact, "version": fact["version"] + 1, "withdrawn": True}
