"""The campaign clock's days, versions of a campaign, and what an import does to a registered window."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inspection.domain import campaigns, clock, windows
from services.inspection.domain.registry import Registry

MOMENTS = st.datetimes(datetime(1992, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(MOMENTS)
def test_a_moment_lies_in_its_shanghai_day_and_the_day_before_it_is_over(moment: datetime) -> None:
    shown = clock.face(moment)
    assert clock.start_of(shown.day) <= moment < clock.start_of(shown.day + timedelta(days=1))
    assert shown.completed_day == shown.day - timedelta(days=1)


@given(MOMENTS)
def test_milliseconds_give_back_the_cut_moment(moment: datetime) -> None:
    assert clock.UNSET + timedelta(milliseconds=clock.milliseconds(moment)) == clock.cut(moment)


@given(MOMENTS, MOMENTS)
def test_a_clock_goes_back_only_when_a_millisecond_is_lost(now: datetime, to: datetime) -> None:
    assert clock.is_backwards(now, to) == (clock.milliseconds(to) < clock.milliseconds(now))


@pytest.mark.parametrize(
    ("highest", "version", "fine"), [(0, 1, True), (1, 2, True), (0, 2, False), (2, 4, False)]
)
def test_versions_of_a_campaign_follow_one_another(highest: int, version: int, fine: bool) -> None:
    assert (campaigns.version_problem(highest, version) is None) is fine


@pytest.mark.parametrize(
    ("document", "fine"),
    [
        ({"version": 1, "effective_on": "2007-01-01"}, True),
        ({"version": 2}, True),
        ({"version": 2, "effective_on": "2007-05-02"}, True),
        ({"version": 2, "effective_on": "2007-05-01"}, True),
        ({"version": 2, "effective_on": "2007-04-30"}, False),
    ],
)
def test_a_later_version_never_takes_effect_in_the_past(document: dict[str, Any], fine: bool) -> None:
    assert (campaigns.effective_problem(document, date(2007, 5, 1)) is None) is fine


IMPORTED = {"code": "GJ-01-01", "name": "示例窗口", "closed_on": None}
TODAY = date(2007, 5, 1)


def test_a_new_window_has_version_1_and_an_unchanged_one_keeps_its_version() -> None:
    first = windows.merged(None, IMPORTED, TODAY)
    assert first["version"] == 1
    assert windows.merged(first, IMPORTED, TODAY) == first


def test_a_changed_window_gets_the_next_version() -> None:
    first = windows.merged(None, IMPORTED, TODAY)
    assert windows.merged(first, {**IMPORTED, "name": "另名"}, TODAY)["version"] == 2


def test_a_closed_window_keeps_its_closing_day_when_a_file_leaves_it_blank() -> None:
    closed = windows.merged(None, {**IMPORTED, "closed_on": "2007-05-01"}, TODAY)
    again = windows.merged(closed, IMPORTED, TODAY)
    assert (again["closed_on"], again["version"]) == ("2007-05-01", 1)


def test_a_closing_day_still_to_come_can_be_moved_but_one_that_has_come_cannot() -> None:
    coming = windows.merged(None, {**IMPORTED, "closed_on": "2007-05-02"}, TODAY)
    moved = {**IMPORTED, "closed_on": "2007-08-01"}
    assert windows.reopening_problem(coming, moved, TODAY) is None
    assert windows.merged(coming, moved, TODAY)["closed_on"] == "2007-08-01"
    assert "its closing day cannot become 2007-08-01" in str(
        windows.reopening_problem(coming, moved, date(2007, 5, 2))
    )


def test_a_window_fact_names_its_unit_and_industry() -> None:
    window = {
        "code": "W",
        "name": "窗口",
        "unit": "U",
        "district": "天宁区",
        "address": "示例路1号",
        "opened_on": "2005-01-01",
        "contact_name": "示例联系人001",
        "contact_email": "a@example.org",
    }
    registry = Registry(
        [{"code": "I", "name": "公交"}],
        [{"code": "U", "name": "示例公司", "industry": "I", "uscc": ""}],
        [window],
        [],
    )
    [fact] = windows.window_facts(registry)
    assert (fact["unit_name"], fact["industry"], fact["industry_name"], fact["closed_on"]) == (
        "示例公司",
        "I",
        "公交",
        None,
    )
