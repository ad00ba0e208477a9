"""Figures in words and as places on a line."""

from __future__ import annotations

from typing import Any

import pytest

from services.reporting.domain import wording

SATISFACTION: dict[str, Any] = {
    "n": 1234, "target": "0.95", "reference": "0.85", "verdict": "insufficient", "verdict_day": "2007-03-15",
    "verdict_n": 1200, "ratings_needed": 457,
}  # fmt: skip
CAMPAIGN: dict[str, Any] = {
    "id": "a", "version": 1, "opens": "2007-01-01",
    "phases": [
        {"name": "设施", "starts": "2007-01-01", "ends": "2007-04-30"},
        {"name": "质量", "starts": "2007-05-01", "ends": "2007-09-30"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "text"), [("0.9532", "95.32%"), ("0.9504675171", "95.05%"), ("1.0000", "100.00%"), (None, "—")]
)
def test_a_ratio_is_shown_in_percent_with_two_decimals(ratio: str | None, text: str) -> None:
    assert wording.percent(ratio) == text


def test_half_a_hundredth_goes_up() -> None:
    assert wording.percent("0.95005") == "95.01%"


def test_a_threshold_loses_its_idle_zeros_only() -> None:
    assert [wording.line(ratio) for ratio in ("0.95", "0.950", "0.855", "1", "0.9")] == [
        "95%", "95%", "85.5%", "100%", "90%",
    ]  # fmt: skip


def test_an_open_verdict_says_how_many_ratings_are_still_needed_and_on_what_it_rests() -> None:
    sentence = wording.verdict_sentence(SATISFACTION)
    assert "约需再有 457 份评价" in sentence
    assert "截至2007年3月15日的 1,200 份评价" in sentence


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"verdict": "met"}, "已达到 95% 的目标"),
        ({"verdict": "missed"}, "未达到 95% 的目标"),
        ({"ratings_needed": 0}, "待当日结束后作出"),
        ({"ratings_needed": None}, "恰在目标线上"),
        ({"n": 0}, "尚无计入的评价"),
    ],
)
def test_every_verdict_has_its_words(changed: dict[str, Any], words: str) -> None:
    assert words in wording.verdict_sentence({**SATISFACTION, **changed})


def test_a_moment_is_shown_in_shanghai_time() -> None:
    assert wording.moment_words("2007-03-01T16:30:00.000Z") == "2007年3月2日 00:30"


def test_a_phase_holds_on_its_first_and_last_day() -> None:
    names = [wording.phase_on(CAMPAIGN, day) for day in ("2007-01-01", "2007-04-30", "2007-05-01")]
    assert [phase["name"] for phase in names if phase] == ["设施", "设施", "质量"]
    assert wording.phase_on(CAMPAIGN, "2007-12-31") is None
    assert wording.phase_on(CAMPAIGN, None) is None


def test_the_campaign_shown_is_the_last_opened_one_in_its_highest_version_in_effect() -> None:
    second = {**CAMPAIGN, "version": 2, "effective_on": "2007-06-01"}
    next_one = {**CAMPAIGN, "id": "b", "opens": "2009-01-01"}
    known = [next_one, second, CAMPAIGN]
    chosen = [wording.campaign_in_force(known, day) for day in ("2007-05-31", "2007-06-01", "2009-01-01")]
    assert [(one["id"], one["version"]) for one in chosen if one] == [("a", 1), ("a", 2), ("b", 1)]
    assert wording.campaign_in_force([], "2007-06-01") is None


def test_places_on_an_axis_never_leave_it() -> None:
    assert wording.place("0.85", 80) == "25.00%"
    assert wording.place("0.10", 80) == "0.00%"
    assert wording.place("1", 80) == "100.00%"
    assert wording.span("0.90", "0.95", 80) == "25.00%"


def test_the_common_axis_starts_below_every_interval() -> None:
    assert wording.axis_start([None, {"wilson_low": None}]) == 80
    assert wording.axis_start([{"wilson_low": "0.93"}, {"wilson_low": "0.6431"}]) == 60
    assert wording.axis_start([{"wilson_low": "0.0000"}]) == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"result": "fail"}, "不合格"), ({"result": "na"}, "不适用"), ({"value": 4}, "4 分"),
        ({"observed": 9, "of": 10}, "9 / 10"),
    ],
)  # fmt: skip
def test_an_answer_is_shown_as_people_write_it(answer: dict[str, Any], words: str) -> None:
    assert wording.answer_words(answer) == words


def test_a_bar_of_nothing_has_no_length() -> None:
    assert wording.share_of(0, 0) == "0%"
    assert wording.share_of(None, 100) == "0%"
    assert wording.share_of("87.35", 100) == "87.35%"
