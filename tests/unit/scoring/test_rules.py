"""Single rules, each at its edges."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.arithmetic import fixed, half_up, micro_points
from services.scoring.domain.campaign import Campaign
from services.scoring.domain.dimensions import quality_of_visit, quality_of_window
from services.scoring.domain.explanation import explain
from services.scoring.domain.facts import (
    Answer,
    Rating,
    Visit,
    WindowChanged,
    instant,
    latest,
    shanghai_day,
    supersede,
)
from services.scoring.domain.items import AnswerDoesNotFit, item_score, score_answers
from services.scoring.domain.presentation import explanation_document, window_document
from services.scoring.domain.ratings import counted
from services.scoring.domain.rebuild import Registry, rebuild
from services.scoring.domain.satisfaction import (
    INSUFFICIENT,
    MET,
    MISSED,
    ratings_needed,
    verdict,
    wilson_bounds,
)
from services.scoring.domain.window import NoCampaign, VisitFact, compact, window_state
from tests.unit.scoring.small_city import campaign_document, read_case, visit_of

CAMPAIGN = Campaign.from_document(campaign_document())
TARGET = Fraction("0.95")
NINE = "2007-03-01T09:00:00+08:00"


def visit(answers: dict[str, str | int], **keys: object) -> Visit:
    return visit_of(
        {
            "id": "V1",
            "version": 1,
            "window": "W1",
            "occurred_at": NINE,
            "campaign_version": 1,
            "answers": answers,
            **keys,
        }
    )


class TestArithmetic:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("87.345", "87.35"),
            ("87.3449999999", "87.34"),
            ("0.005", "0.01"),
            ("100", "100.00"),
            ("0", "0.00"),
            ("99.995", "100.00"),
        ],
    )
    def test_a_half_goes_up(self, value: str, text: str) -> None:
        assert fixed(Fraction(value), 2) == text

    @given(st.fractions(min_value=0, max_value=100))
    def test_rounding_is_to_the_nearest_and_halves_go_up(self, value: Fraction) -> None:
        assert -Fraction(1, 2) < half_up(value) - value <= Fraction(1, 2)

    @given(st.integers(0, 10**8), st.integers(1, 10**6))
    def test_two_decimals_agree_with_decimal_half_up(self, numerator: int, denominator: int) -> None:
        value = Fraction(numerator, denominator)
        with localcontext() as context:
            context.prec = 60
            expected = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        assert fixed(value, 2) == str(expected)

    def test_a_visits_dimension_is_rounded_once_to_micro_points(self) -> None:
        assert micro_points(Fraction(100, 3)) == 33_333_333
        assert micro_points(Fraction(200, 3)) == 66_666_667
        assert micro_points(Fraction(100)) == 100_000_000

    def test_the_mean_over_visits_keeps_sum_and_count_as_integers(self) -> None:
        visits = [{"staff": 33_333_333}, {"staff": 66_666_667}, {"staff": 66_666_667}, {"attitude": 1}]
        assert quality_of_window(visits, "staff") == Fraction(166_666_667, 3 * 10**6)
        assert quality_of_window(visits, "skill") is None


class TestItems:
    def test_counts_are_exact_shares(self) -> None:
        assert item_score(CAMPAIGN.items["D1"], Answer("D1", observed=1, of=3)) == Fraction(1, 3)

    @pytest.mark.parametrize(
        "answers",
        [
            {"X9": "pass"},
            {"X9": "na"},
            {"E1": 1},
            {"E2": "pass"},
            {"E2": 6},
            {"D1": "3/2"},
            {"D1": "0/0"},
        ],
    )
    def test_an_answer_that_does_not_fit_names_its_item(self, answers: dict[str, str | int]) -> None:
        with pytest.raises(AnswerDoesNotFit, match=next(iter(answers))):
            score_answers(visit(answers), CAMPAIGN)

    def test_an_item_answered_twice_does_not_fit(self) -> None:
        twice = Visit("V1", 1, "W1", instant(NINE), 1, (Answer("E1", "pass"), Answer("E1", "fail")))
        with pytest.raises(AnswerDoesNotFit, match="E1: answered twice"):
            score_answers(twice, CAMPAIGN)

    def test_a_visit_that_does_not_fit_is_left_out_and_named(self) -> None:
        case = read_case({"name": "", "expect": {}})
        facts = [visit({"E1": "pass"}), visit({"E2": 6}, id="V2")]
        state = rebuild(facts, case.registry, case.campaigns, None, case.today).windows["W1"]
        assert state.coverage.visits == 1
        assert [entry.what for entry in state.missing][-1] == "visit:V2"
        assert "E2" in state.missing[-1].reason

    def test_quality_of_a_visit_has_no_facility_dimension(self) -> None:
        scored = score_answers(visit({"E1": "pass", "S1": "pass", "S2": 1}), CAMPAIGN)
        assert quality_of_visit(scored, CAMPAIGN) == {"staff": 55_555_556}


class TestVersions:
    def test_an_amendment_cannot_change_the_window(self) -> None:
        first, moved = visit({"E1": "pass"}), visit({"E1": "fail"}, version=2, window="W2")
        assert latest([moved, first]) == first
        with pytest.raises(WindowChanged, match=r"version 2 of V1 names W2.*belongs to W1"):
            supersede(first, moved)

    def test_nothing_revives_a_withdrawn_rating(self) -> None:
        one = Rating("R1", 1, "W1", "web", instant(NINE), 5)
        versions = [
            one,
            Rating("R1", 2, "W1", "web", instant(NINE), 5, withdrawn=True),
            Rating("R1", 3, "W1", "web", instant(NINE), 4),
        ]
        held = latest(versions)
        assert held is not None
        assert held.withdrawn
        assert held == latest(reversed(versions))
        assert counted([held]) is None

    def test_a_naive_instant_is_refused(self) -> None:
        with pytest.raises(ValueError, match="occurred_at"):
            Visit("V1", 1, "W1", datetime(2007, 3, 1), 1)

    def test_instants_are_utc_cut_to_milliseconds(self) -> None:
        assert instant("2007-03-01T09:00:00.999999+08:00") == datetime(2007, 3, 1, 1, 0, 0, 999000, UTC)

    def test_the_shanghai_day_changes_at_sixteen_hundred_utc(self) -> None:
        assert shanghai_day(instant("2007-03-01T15:59:59.999Z")) == date(2007, 3, 1)
        assert shanghai_day(instant("2007-03-01T16:00:00Z")) == date(2007, 3, 2)


class TestVerdict:
    @pytest.mark.parametrize(("rate", "in_all"), [("1", 73), ("0.99", 115), ("0.98", 203), ("0.97", 457)])
    def test_so_many_ratings_are_needed_in_all(self, rate: str, in_all: int) -> None:
        n = 100
        x = int(n * Fraction(rate))
        needed = ratings_needed(x, n, TARGET)
        assert needed == max(0, in_all - n)

    @given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_ratings_needed_is_the_first_number_that_decides_at_that_rate(self, xn: tuple[int, int]) -> None:
        x, n = xn
        needed = ratings_needed(x, n, TARGET)
        if needed is None:
            assert Fraction(x, n) == TARGET
            return
        decides = verdict(x, n, TARGET) != INSUFFICIENT
        # A miss must be strictly beyond the interval, so that at equality one rating more could be wanted;
        # z² has fifteen decimals, so equality does not occur with such counts.
        assert decides == (needed == 0)

    @given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_the_verdict_is_what_the_wilson_interval_says(self, xn: tuple[int, int]) -> None:
        x, n = xn
        low, high = wilson_bounds(x, n)
        target = Decimal("0.95")
        if low > target:
            assert verdict(x, n, TARGET) == MET
        elif high < target:
            assert verdict(x, n, TARGET) == MISSED
        elif low < target < high:
            assert verdict(x, n, TARGET) == INSUFFICIENT

    @given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
    def test_one_more_content_rating_never_lowers_a_bound(self, xn: tuple[int, int]) -> None:
        x, n = xn
        (low, high), (lower, higher) = wilson_bounds(x, n), wilson_bounds(x + 1, n)
        assert low <= lower
        assert high <= higher
        assert 0 <= low <= Decimal(x) / n <= high <= 1

    @given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(2, 9))
    def test_more_ratings_at_the_same_rate_narrow_the_interval(self, xn: tuple[int, int], times: int) -> None:
        x, n = xn
        low, high = wilson_bounds(x, n)
        narrower_low, narrower_high = wilson_bounds(x * times, n * times)
        assert narrower_high - narrower_low < high - low

    def test_wilson_bounds_have_ten_places(self) -> None:
        # The example of R. G. Newcombe, Statistics in Medicine 17 (1998) 857–872, table I: 81 of 263.
        low, high = wilson_bounds(81, 263)
        assert (f"{low:.4f}", f"{high:.4f}") == ("0.2553", "0.3662")
        assert wilson_bounds(0, 10)[0] == 0
        assert wilson_bounds(10, 10)[1] == 1
        assert all(-bound.as_tuple().exponent == 10 for n in (1, 7, 10) for bound in wilson_bounds(n, n))


class TestWindow:
    def test_without_any_campaign_nothing_is_judged(self) -> None:
        case = read_case({"name": "", "expect": {}})
        with pytest.raises(NoCampaign):
            window_state(case.registry.windows["W1"], [], {}, {}, None, case.today)

    def test_a_visit_enters_when_its_campaign_version_arrives(self) -> None:
        case = read_case({"name": "", "expect": {}, "campaigns": [{"version": 2}]})
        early = compact(visit({"E2": 2}, campaign_version=2), {1: CAMPAIGN})
        assert early.quality is None
        window = case.registry.windows["W1"]
        before = window_state(window, [early], {}, {1: CAMPAIGN}, None, case.today)
        after = window_state(window, [early], {}, case.campaigns, None, case.today)
        assert before.coverage.visits == 0
        assert after.coverage.visits == 1
        assert after.facility == 40

    def test_a_compact_visit_survives_storing(self) -> None:
        fact = compact(visit({"E1": "na", "E2": 2, "D1": "1/3", "S2": 1}), {1: CAMPAIGN})
        assert VisitFact.from_document(fact.to_document()) == fact

    def test_a_window_opens_on_its_day(self) -> None:
        registry = Registry.of_windows(
            [
                {
                    "code": "W1",
                    "name": "窗口",
                    "unit": "U1",
                    "industry": "bus",
                    "industry_name": "公交",
                    "district": "天宁区",
                    "opened_on": "2007-03-02",
                    "closed_on": None,
                }
            ]
        )
        window = registry.windows["W1"]
        assert not window.open_on(date(2007, 3, 1))
        assert window.open_on(date(2007, 3, 2))


class TestExplanation:
    def test_the_explanation_leads_back_to_the_figures(self) -> None:
        """Whoever adds up what the explanation lists gets the published figures."""
        case = read_case({"name": "", "expect": {}})
        visits = [
            compact(visit({"E1": "fail", "E2": 2, "S1": "pass", "S2": 1, "A1": "na"}), case.campaigns),
            compact(
                visit({"E1": "pass", "S2": 3}, id="V2", occurred_at="2007-03-02T09:00:00+08:00"),
                case.campaigns,
            ),
        ]
        window = case.registry.windows["W1"]
        counts = {("web", date(2007, 3, 1)): (3, 0, 0, 0, 1)}
        explained = explanation_document(explain(window, visits, counts, case.campaigns, case.today))
        figures = window_document(window_state(window, visits, counts, case.campaigns, None, case.today))

        assert [(entry["visit"], entry["item"]) for entry in explained["items"]] == [
            ("V1", "E2"),
            ("V1", "S1"),
            ("V1", "S2"),
            ("V2", "E1"),
            ("V2", "S2"),
        ]
        facility = [entry for entry in explained["items"] if entry["dimension"] == "environment"]
        shares = [(entry["weight"], Fraction(entry["score"].split()[0])) for entry in facility]
        environment = 100 * sum(w * s for w, s in shares) / sum(w for w, _ in shares)
        assert fixed(environment, 2) == figures["dimensions"][0]["figure"] == "80.00"
        assert [entry["quality"] for entry in explained["visits"]] == [
            {"staff": "55.56"},
            {"staff": "100.00"},
        ]
        assert explained["ratings"] == [
            {"channel": "web", "day": "2007-03-01", "counts": {"5": 3, "4": 0, "3": 0, "2": 0, "1": 1}}
        ]
        assert {rule["figure"] for rule in explained["rules"]} >= {
            "facility",
            "quality",
            "satisfaction.verdict",
        }
        clauses = {rule["figure"]: rule["clause"] for rule in explained["rules"]}
        assert clauses["satisfaction.verdict"] == "一.2"
        assert clauses["conformity"] == "一.1"
