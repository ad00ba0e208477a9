"""Over random histories: order, batches, repetitions and the path taken do not matter."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.domain.campaign import Campaign
from services.scoring.domain.facts import Answer, Rating, Visit, latest
from services.scoring.domain.rebuild import Registry, rebuild
from tests.unit.scoring.small_city import Incremental, campaign_document, published

CAMPAIGNS = {
    1: Campaign.from_document(campaign_document()),
    2: Campaign.from_document(
        campaign_document(
            {
                "version": 2,
                "effective_on": "2007-03-03",
                "drop": ["S1"],
                "items": {"E2": {"weight": 7, "required": True}},
                "dimensions": {"environment": 5},
            }
        )
    ),
}
START = datetime(2007, 3, 1, tzinfo=UTC)
WINDOWS = ("W1", "W2", "W3")
REGISTRY = Registry.of_windows(
    {
        "code": code,
        "name": code,
        "unit": "U1",
        "district": "天宁区",
        "industry": industry,
        "industry_name": industry,
        "opened_on": "2007-01-01",
        "closed_on": closed_on,
    }
    for code, industry, closed_on in (("W1", "bus", None), ("W2", "bus", "2007-03-04"), ("W3", "post", None))
)

# Few distinct instants, so that ties and day boundaries occur.
instants = st.integers(0, 12).map(lambda step: START + timedelta(hours=8 * step, microseconds=300 * step))
answers = {
    "E1": st.sampled_from(["pass", "fail", "na"]).map(lambda r: Answer("E1", result=r)),
    "E2": st.integers(0, 5).map(lambda n: Answer("E2", value=n)),
    "D1": st.integers(0, 7).map(lambda n: Answer("D1", observed=n, of=7)),
    "S1": st.sampled_from(["pass", "fail", "na"]).map(lambda r: Answer("S1", result=r)),
    "S2": st.integers(0, 3).map(lambda n: Answer("S2", value=n)),
    "A1": st.sampled_from(["pass", "fail", "na"]).map(lambda r: Answer("A1", result=r)),
    "A2": st.integers(0, 3).map(lambda n: Answer("A2", observed=n, of=3)),
}


@st.composite
def visit_versions(draw: st.DrawFn, number: int) -> list[Visit]:
    window = draw(st.sampled_from((*WINDOWS, "W8")))
    versions = []
    for version in range(1, draw(st.integers(1, 3)) + 1):
        given_answers = tuple(draw(answer) for answer in answers.values() if draw(st.booleans()))
        campaign_version = draw(st.sampled_from((1, 1, 2, 3)))
        voided = draw(st.integers(0, 5)) == 0
        versions.append(
            Visit(f"V{number}", version, window, draw(instants), campaign_version, given_answers, voided)
        )
    return versions


@st.composite
def rating_versions(draw: st.DrawFn, number: int) -> list[Rating]:
    window, channel = draw(st.sampled_from((*WINDOWS, "W8"))), draw(st.sampled_from(("web", "phone")))
    voter = draw(st.sampled_from((None, "aaaa", "bbbb")))
    versions = []
    for version in range(1, draw(st.integers(1, 2)) + 1):
        versions.append(
            Rating(
                id=f"R{number}",
                version=version,
                window=window,
                channel=channel,
                occurred_at=draw(instants),
                level=draw(st.integers(1, 5)),
                voter=voter,
                default=draw(st.integers(0, 6)) == 0,
                withdrawn=draw(st.integers(0, 6)) == 0,
            )
        )
    return versions


@st.composite
def histories(draw: st.DrawFn) -> list[Visit | Rating]:
    facts: list[Visit | Rating] = []
    for number in range(draw(st.integers(0, 8))):
        facts += draw(visit_versions(number))
    for number in range(draw(st.integers(0, 14))):
        facts += draw(rating_versions(number))
    return facts


days = st.sampled_from([None, date(2007, 3, 1), date(2007, 3, 2), date(2007, 3, 4)])
todays = st.sampled_from([date(2007, 3, 2), date(2007, 3, 3), date(2007, 3, 4), date(2007, 3, 6)])
relaxed = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def truth(facts: list[Visit | Rating], completed_day: date | None, today: date) -> dict[str, Any]:
    return published(rebuild(facts, REGISTRY, CAMPAIGNS, completed_day, today))


@relaxed
@given(histories(), days, todays, st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_matter_to_a_rebuild(
    facts: list[Visit | Rating], completed_day: date | None, today: date, chance: random.Random
) -> None:
    shuffled = facts + [fact for fact in facts if chance.random() < 0.5]
    chance.shuffle(shuffled)
    assert truth(shuffled, completed_day, today) == truth(facts, completed_day, today)


@relaxed
@given(histories(), days, todays, st.randoms(use_true_random=False))
def test_the_incremental_state_equals_a_rebuild_whatever_the_order_and_the_batches(
    facts: list[Visit | Rating], completed_day: date | None, today: date, chance: random.Random
) -> None:
    arrivals = facts + [fact for fact in facts if chance.random() < 0.3]
    chance.shuffle(arrivals)
    incremental = Incremental(REGISTRY, CAMPAIGNS, completed_day, today)
    while arrivals:
        size = chance.randint(1, 5)
        incremental.apply(arrivals[:size])
        arrivals = arrivals[size:]
    assert incremental.published() == truth(facts, completed_day, today)


@relaxed
@given(visit_versions(1), st.randoms(use_true_random=False))
def test_a_void_is_terminal_and_otherwise_the_highest_version_holds(
    versions: list[Visit], chance: random.Random
) -> None:
    shuffled = versions * 2
    chance.shuffle(shuffled)
    held = latest(shuffled)
    assert held is not None
    assert held.voided == any(version.voided for version in versions)
    assert held.version == max(version.version for version in versions)
    assert held.answers == versions[-1].answers
    assert held.window == versions[0].window


@relaxed
@given(histories(), todays)
def test_figures_stay_within_their_bounds(facts: list[Visit | Rating], today: date) -> None:
    scores = rebuild(facts, REGISTRY, CAMPAIGNS, today - timedelta(days=1), today)
    for state in (*scores.windows.values(), *scores.industries.values(), scores.city):
        for figure in (state.facility, state.quality):
            assert figure is None or 0 <= figure <= 100
        satisfaction = state.satisfaction
        if satisfaction.lenient is not None and satisfaction.strict is not None:
            assert 0 <= satisfaction.strict <= satisfaction.lenient <= 1
        assert satisfaction.verdict_n <= satisfaction.n


@relaxed
@given(histories(), todays)
def test_the_city_is_the_sum_of_its_industries(facts: list[Visit | Rating], today: date) -> None:
    scores = rebuild(facts, REGISTRY, CAMPAIGNS, None, today)
    assert scores.city.satisfaction.n == sum(i.satisfaction.n for i in scores.industries.values())
    assert scores.city.windows.open == sum(i.windows.open for i in scores.industries.values())
    assert scores.city.windows.conforming == sum(i.windows.conforming for i in scores.industries.values())
