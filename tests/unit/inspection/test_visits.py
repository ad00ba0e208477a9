"""What makes a visit acceptable: each broken rule is refused by its place, and nothing else is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inspection.domain import visits
from services.inspection.domain.campaigns import Campaign, Item
from services.inspection.domain.findings import findings_of, passes
from services.inspection.domain.windows import Window

NOW = datetime(2007, 6, 1, 4, tzinfo=UTC)
WINDOW = Window("GJ-01-01", date(2007, 2, 1), date(2007, 9, 1))


def item(name: str, kind: str, **changes: Any) -> Item:
    values: dict[str, Any] = {
        "id": name,
        "name": f"检查项 {name}",
        "clause": "四.1.1",
        "axis": "facilities",
        "kind": kind,
        "max": 0,
        "pass_at": Fraction(1),
        "required": False,
        "critical": False,
        **changes,
    }
    return Item(**values)


ITEMS = [
    item("CLEAN", "pass_fail"),
    item("SIGNS", "pass_fail", required=True),
    item("SAFE", "pass_fail", critical=True),
    item("TONE", "scale", max=5),
    item("SKILL", "scale", max=10, pass_at=Fraction("0.6"), required=True),
    item("BADGES", "count"),
    item("DRESS", "count", pass_at=Fraction("0.8"), critical=True),
]
CAMPAIGN = Campaign("city", 2, date(2007, 1, 1), date(2007, 12, 31), {entry.id: entry for entry in ITEMS})


def visit(*answers: dict[str, Any], occurred_at: str = "2007-05-01T01:00:00.000Z") -> dict[str, Any]:
    return {
        "visit_id": "v-1",
        "campaign": "city",
        "campaign_version": 2,
        "window": "GJ-01-01",
        "supervisor": "DC001",
        "kind": "planned",
        "occurred_at": occurred_at,
        "answers": list(answers) or [{"item": "CLEAN", "result": "pass"}],
    }


def problems(body: dict[str, Any], elsewhere: dict[str, list[int]] | None = None) -> visits.Problems:
    return visits.problems_of(body, CAMPAIGN, WINDOW, NOW, elsewhere or {})


GOOD_ANSWERS = [
    {"item": "CLEAN", "result": "fail"},
    {"item": "SIGNS", "result": "pass"},
    {"item": "SIGNS", "result": "fail", "note": "无指示牌"},
    {"item": "SAFE", "result": "fail", "photo": "photo-1"},
    {"item": "SAFE", "result": "na", "note": "临时搬迁"},
    {"item": "TONE", "value": 0},
    {"item": "TONE", "value": 5},
    {"item": "SKILL", "value": 6},
    {"item": "SKILL", "value": 5, "note": "业务不熟"},
    {"item": "BADGES", "observed": 0, "of": 3},
    {"item": "DRESS", "observed": 4, "of": 5},
    {"item": "DRESS", "observed": 3, "of": 4, "note": "一人未着装"},
]


@pytest.mark.parametrize("answer", GOOD_ANSWERS)
def test_an_answer_that_fits_its_item_is_accepted(answer: dict[str, Any]) -> None:
    assert problems(visit(answer)) == {}


@pytest.mark.parametrize(
    ("answer", "place", "reason"),
    [
        ({"item": "NONE", "result": "pass"}, "item", "no such item in city version 2: NONE"),
        ({"item": "TONE", "value": 6}, "value", "beyond the scale: 0..5"),
        ({"item": "BADGES", "observed": 4, "of": 3}, "observed", "must not exceed of (3)"),
        ({"item": "BADGES", "observed": 0, "of": 0}, "of", "greater than 0"),
        ({"item": "CLEAN", "value": 1}, "value", "answered by result"),
        ({"item": "CLEAN", "observed": 1, "of": 1}, "observed", "answered by result"),
        ({"item": "TONE", "result": "pass"}, "result", "answered by value"),
        ({"item": "BADGES", "value": 1}, "value", "answered by observed + of"),
        ({"item": "CLEAN", "result": "na"}, "note", "na needs a note"),
        ({"item": "TONE", "result": "na", "note": "  "}, "note", "na needs a note"),
        ({"item": "CLEAN", "result": "na", "photo": "photo-1"}, "note", "na needs a note"),
        ({"item": "SIGNS", "result": "fail"}, "note", "needs a note or a photo"),
        ({"item": "SAFE", "result": "fail", "note": " ", "photo": ""}, "note", "needs a note or a photo"),
        ({"item": "SKILL", "value": 5}, "note", "needs a note or a photo"),
        ({"item": "DRESS", "observed": 3, "of": 4}, "note", "needs a note or a photo"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_named_by_its_place(
    answer: dict[str, Any], place: str, reason: str
) -> None:
    found = problems(
        visit({"item": "CLEAN", "result": "pass"}, answer)
        if answer["item"] != "CLEAN"
        else visit({"item": "TONE", "value": 1}, answer)
    )
    assert list(found) == [f"answers.1.{place}"]
    assert reason in found[f"answers.1.{place}"][0]


def test_every_problem_of_a_visit_is_named_at_once() -> None:
    found = problems(
        visit(
            {"item": "TONE", "value": 9},
            {"item": "NONE", "result": "pass"},
            {"item": "SIGNS", "result": "fail"},
            occurred_at="2007-12-31T16:00:00.000Z",
        )
    )
    assert set(found) == {"occurred_at", "answers.0.value", "answers.1.item", "answers.2.note"}
    assert len(found["occurred_at"]) == 3  # in the future, after the campaign, after the window closed


def test_an_item_of_another_version_is_told_apart_from_an_unknown_one() -> None:
    found = problems(
        visit({"item": "OLD", "result": "pass"}, {"item": "NONE", "result": "pass"}), {"OLD": [1, 3]}
    )
    assert "item of another campaign version: 1, 3" in found["answers.0.item"][0]
    assert "no such item" in found["answers.1.item"][0]


def test_an_item_is_answered_once() -> None:
    found = problems(visit({"item": "CLEAN", "result": "pass"}, {"item": "CLEAN", "result": "pass"}))
    assert list(found) == ["answers.1.item"]
    assert "answered twice" in found["answers.1.item"][0]


@pytest.mark.parametrize(
    ("occurred_at", "reason"),
    [
        ("2007-06-01T04:00:00.001Z", "in the future"),
        ("2006-12-31T15:59:59.999Z", "before the campaign"),
        ("2007-01-31T15:59:59.999Z", "opens on 2007-02-01"),
        ("2007-08-31T16:00:00.000Z", "closed from 2007-09-01"),
        ("2007-12-31T16:00:00.000Z", "after the campaign"),
    ],
)
def test_a_visit_outside_its_days_is_refused(occurred_at: str, reason: str) -> None:
    assert any(reason in why for why in problems(visit(occurred_at=occurred_at))["occurred_at"])


@pytest.mark.parametrize("occurred_at", ["2007-06-01T04:00:00.000Z", "2007-01-31T16:00:00.000Z"])
def test_the_present_moment_and_the_first_moment_of_the_opening_day_are_inside(occurred_at: str) -> None:
    assert problems(visit(occurred_at=occurred_at)) == {}


def test_the_last_day_before_a_window_closes_still_counts() -> None:
    later = NOW + timedelta(days=300)
    assert (
        visits.problems_of(visit(occurred_at="2007-08-31T15:59:59.999Z"), CAMPAIGN, WINDOW, later, {}) == {}
    )


def test_what_a_visit_names_and_does_not_exist_is_named() -> None:
    body = visit()
    assert set(visits.missing(body, None, [], None, False)) == {"campaign", "window", "supervisor"}
    assert "published: 1" in visits.missing(body, None, [1], WINDOW, True)["campaign_version"][0]
    assert visits.missing(body, CAMPAIGN, [2], WINDOW, True) == {}


def test_failed_required_and_critical_items_are_findings_and_nothing_else_is() -> None:
    answers = [entry for entry in GOOD_ANSWERS if entry["item"] != "SIGNS"] + [GOOD_ANSWERS[2]]
    found = findings_of(CAMPAIGN, answers)
    assert [(one["item"], one["required"], one["critical"]) for one in found] == [
        ("SAFE", False, True),
        ("SKILL", True, False),
        ("DRESS", False, True),
        ("SIGNS", True, False),
    ]
    assert found[-1]["note"] == "无指示牌"
    assert found[0]["photo"] == "photo-1"


def test_an_amendment_keeps_window_and_campaign() -> None:
    current = visit()
    assert visits.fixed_problems(current, current) == {}
    assert set(visits.fixed_problems({**current, "window": "GJ-01-02", "campaign": "other"}, current)) == {
        "window",
        "campaign",
    }


@given(value=st.integers(0, 1000), maximum=st.integers(1, 1000), share=st.fractions(0, 1))
def test_a_scale_passes_exactly_at_or_above_its_share(value: int, maximum: int, share: Fraction) -> None:
    scale = item("S", "scale", max=maximum, pass_at=share)
    assert passes(scale, {"value": value}) is (value >= share * maximum)


@given(observed=st.integers(0, 500), of=st.integers(1, 500), share=st.fractions(0, 1))
def test_a_count_passes_exactly_at_or_above_its_share(observed: int, of: int, share: Fraction) -> None:
    count = item("C", "count", pass_at=share)
    assert passes(count, {"observed": observed, "of": of}) is (observed >= share * of)


_ANSWERS = st.one_of(
    st.fixed_dictionaries({"result": st.sampled_from(["pass", "fail", "na"])}),
    st.fixed_dictionaries({"value": st.integers(0, 12)}),
    st.fixed_dictionaries({"observed": st.integers(0, 12), "of": st.integers(1, 12)}),
)


@given(entry=st.sampled_from(ITEMS), answer=_ANSWERS, note=st.sampled_from(["", " ", "说明"]))
def test_an_accepted_answer_can_always_be_judged_and_a_finding_always_has_evidence(
    entry: Item,
    answer: dict[str, Any],
    note: str,
) -> None:
    full = {"item": entry.id, **answer, "note": note}
    if not visits.answer_problems(entry, full):
        assert passes(entry, full) in (True, False, None)
        assert all(found["note"].strip() for found in findings_of(CAMPAIGN, [full]))
