"""What makes a rating acceptable."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inspection.domain import ratings
from services.inspection.domain.campaigns import Campaign
from services.inspection.domain.clock import day_of
from services.inspection.domain.windows import Window

NOW = datetime(2007, 6, 1, tzinfo=UTC)
WINDOW = Window("GJ-01-01", date(2007, 2, 1), date(2007, 5, 1))
CAMPAIGN = Campaign("city", 1, date(2007, 1, 1), date(2007, 12, 31), {})


def rating(**changes: Any) -> dict[str, Any]:
    return {
        "id": "r-1",
        "window": "GJ-01-01",
        "channel": "12345",
        "level": 5,
        "voter": None,
        "default": False,
        "occurred_at": "2007-03-01T01:00:00.000Z",
        **changes,
    }


def test_a_rating_of_an_open_window_within_a_campaign_counts() -> None:
    assert ratings.problem_of(rating(), WINDOW, [CAMPAIGN], NOW) is None


@pytest.mark.parametrize(
    ("given_rating", "window", "campaigns", "reason"),
    [
        (rating(default=True), WINDOW, [CAMPAIGN], "默认好评不计"),
        (rating(), None, [CAMPAIGN], "no such window: GJ-01-01"),
        (rating(occurred_at="2007-06-01T00:00:00.001Z"), WINDOW, [CAMPAIGN], "in the future"),
        (rating(occurred_at="2006-12-31T15:59:59.999Z"), WINDOW, [CAMPAIGN], "before the campaign"),
        (rating(), WINDOW, [], "within no published campaign"),
        (rating(occurred_at="2007-01-15T00:00:00.000Z"), WINDOW, [CAMPAIGN], "opens on 2007-02-01"),
        (rating(occurred_at="2007-04-30T16:00:00.000Z"), WINDOW, [CAMPAIGN], "closed from 2007-05-01"),
    ],
)
def test_a_rating_that_breaks_a_rule_is_refused_with_the_reason(
    given_rating: dict[str, Any],
    window: Window | None,
    campaigns: list[Campaign],
    reason: str,
) -> None:
    assert reason in (ratings.problem_of(given_rating, window, campaigns, NOW) or "")


def test_a_day_between_two_campaigns_belongs_to_none() -> None:
    earlier = Campaign("before", 1, date(2006, 1, 1), date(2006, 12, 31), {})
    later = Campaign("after", 1, date(2007, 4, 1), date(2007, 12, 31), {})
    assert "within no published campaign" in str(ratings.problem_of(rating(), WINDOW, [earlier, later], NOW))


@given(st.datetimes(datetime(2006, 6, 1), datetime(2008, 6, 1)))
def test_a_rating_counts_exactly_on_the_open_days_of_its_window_up_to_now(moment: datetime) -> None:
    occurred_at = moment.replace(tzinfo=UTC)
    problem = ratings.problem_of(rating(occurred_at=occurred_at.isoformat()), WINDOW, [CAMPAIGN], NOW)
    assert (problem is None) == (
        occurred_at <= NOW and date(2007, 2, 1) <= day_of(occurred_at) < date(2007, 5, 1)
    )


def test_a_withdrawn_rating_is_the_next_version() -> None:
    fact = ratings.fact_of(rating())
    assert ratings.withdrawn(fact) == {**fact, "version": 2, "withdrawn": True}
