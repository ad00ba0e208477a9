"""What a reader is told when a figure changes."""

from __future__ import annotations

from typing import Any

from services.reporting.domain.changes import shifts, watched
from services.reporting.domain.wording import shift_words


def figure(
    facility: str | None = "85.00",
    quality: str | None = "90.00",
    conforming: bool = False,
    verdict: str = "insufficient",
    n: int = 10,
    **more: Any,
) -> dict[str, Any]:
    return {
        "facility": facility, "quality": quality, "conformity": {"conforming": conforming, "axes": []},
        "satisfaction": {"n": n, "verdict": verdict}, "open": True, **more,
    }  # fmt: skip


def told(before: dict[str, Any] | None, after: dict[str, Any], level: str = "window") -> list[str]:
    held = None if before is None else watched(level, before)
    return [shift_words(shift) for shift in shifts(held, watched(level, after))]


def test_a_window_tells_its_points_from_and_to() -> None:
    assert told(figure(), figure(facility="87.35")) == ["设施 F 85.00 → 87.35"]


def test_a_window_that_comes_to_conform_or_ceases_to_is_told_in_words() -> None:
    assert told(figure(), figure(conforming=True)) == ["由未达标转为达标"]
    assert told(figure(conforming=True), figure()) == ["由达标转为未达标"]


def test_a_new_verdict_names_both() -> None:
    assert told(figure(), figure(verdict="met"), "city") == ["满意度判定：评价不足，尚难判定 → 已达目标"]


def test_more_ratings_under_the_same_verdict_are_no_news() -> None:
    assert told(figure(n=10), figure(n=500)) == []


def test_an_industry_moves_with_its_windows_and_tells_only_conformity_and_verdict() -> None:
    assert told(figure(facility="85.00"), figure(facility="86.00"), "industry") == []
    assert told(figure(), figure(facility="86.00", conforming=True), "industry") == ["由未达标转为达标"]


def test_a_first_figure_tells_what_says_something_and_an_empty_one_nothing() -> None:
    assert told(None, figure(quality=None)) == ["设施 F 首次得分 85.00"]
    assert told(None, figure(facility=None, quality=None)) == []


def test_a_figure_that_vanishes_is_shown_as_none() -> None:
    assert told(figure(), figure(facility=None)) == ["设施 F 85.00 → —"]


def test_a_window_that_closes_is_told() -> None:
    assert told(figure(), figure(open=False)) == ["停止开办"]
