"""The synthetic city and its truth: plainly synthetic, the same each time, and acceptable to the platform."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from stdnum.cn import uscc

from mingchuang.campaign_file import load
from rehearsal import city, truth
from services.contracts.inspection import RatingCall, VisitBody
from services.inspection.workbook import read

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = load(ROOT / "campaigns" / "changzhou-2007.yaml")
DATA = (ROOT / "campaigns" / "changzhou-2007" / "registry.xlsx").read_bytes()
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def registry() -> dict[str, list[dict[str, str]]]:
    found, errors = read(DATA)
    assert errors == []
    assert found is not None
    return found.as_dict()


@pytest.fixture(scope="module")
def visits(registry: dict[str, Any]) -> list[dict[str, Any]]:
    return list(truth.visits(7, CAMPAIGN, registry, 1200))


@pytest.fixture(scope="module")
def batches(registry: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return list(truth.ratings(7, CAMPAIGN, registry, 6000))


def moment(wire: str) -> datetime:
    assert wire.endswith("Z")
    return datetime.fromisoformat(wire)


def test_the_committed_workbook_is_what_the_program_writes_byte_for_byte() -> None:
    assert city.workbook_bytes() == DATA
    assert city.workbook_bytes(seed=1) != DATA


def test_the_city_has_fifteen_industries_120_windows_in_five_districts_and_48_supervisors(
    registry: dict[str, list[dict[str, str]]],
) -> None:
    names = {industry["name"] for industry in registry["industries"]}
    assert {
        "公交",
        "出租",
        "供电",
        "供水",
        "燃气",
        "电信",
        "邮政",
        "银行",
        "医院",
        "工商",
        "税务",
        "公安户籍",
        "房管",
    } <= names
    assert len(registry["windows"]) == 120
    assert len(registry["supervisors"]) == 48
    assert {window["district"] for window in registry["windows"]} == set(city.DISTRICTS)
    units = {unit["code"]: unit["industry"] for unit in registry["units"]}
    sizes = Counter(units[window["unit"]] for window in registry["windows"])
    assert set(sizes.values()) == {8}
    assert {window["unit"] for window in registry["windows"]} == set(units)


def test_windows_open_and_close_during_the_campaign(registry: dict[str, list[dict[str, str]]]) -> None:
    assert sum(window["opened_on"] > CAMPAIGN["opens"] for window in registry["windows"]) == 2
    assert sum("closed_on" in window for window in registry["windows"]) == 2


def test_everything_in_it_is_plainly_synthetic(registry: dict[str, list[dict[str, str]]]) -> None:
    workbook = load_workbook(io.BytesIO(DATA))
    assert workbook.sheetnames[0] == "说明"
    assert "合成数据" in str(workbook["说明"]["A1"].value)
    for unit in registry["units"]:
        assert unit["name"].startswith("示例")
        assert unit["uscc"][2:8] == city.REGION
        assert uscc.is_valid(unit["uscc"])
    for window in registry["windows"]:
        assert window["contact_name"].startswith("示例联系人")
        assert window["contact_email"].endswith("@example.org")
    assert all(person["name"].startswith("示例督察员") for person in registry["supervisors"])


@given(st.sampled_from(["11", "12", "91"]), st.integers(1, 99_999_999))
def test_every_credit_code_has_a_right_check_digit(authority: str, number: int) -> None:
    assert uscc.is_valid(city.credit_code(authority, number))


def test_the_same_seed_gives_the_same_visits_and_ratings_and_another_seed_others(
    registry: dict[str, Any],
) -> None:
    for stream in (truth.visits, truth.ratings):
        once = list(stream(3, CAMPAIGN, registry, 50))
        assert list(stream(3, CAMPAIGN, registry, 50)) == once
        assert list(stream(4, CAMPAIGN, registry, 50)) != once


def test_visits_fit_the_contract_and_come_in_order_within_opening_hours_of_working_days(
    visits: list[dict[str, Any]],
) -> None:
    schema = VisitBody()
    assert all(not schema.validate(visit) for visit in visits)
    assert len({visit["visit_id"] for visit in visits}) == len(visits) == 1200
    moments = [moment(visit["occurred_at"]) for visit in visits]
    assert moments == sorted(moments)
    local = [at.astimezone(SHANGHAI) for at in moments]
    assert local[0].date() == date(2007, 1, 8)
    assert local[-1].date() == date(2007, 10, 31)
    for at in local:
        assert at.weekday() < 5
        opened = datetime.combine(at.date(), truth.OPENS_AT, SHANGHAI)
        assert opened <= at < opened + truth.HOURS


def test_every_window_is_visited_while_open_by_a_trained_supervisor(
    visits: list[dict[str, Any]], registry: dict[str, Any]
) -> None:
    windows = {window["code"]: window for window in registry["windows"]}
    people = {person["code"]: person for person in registry["supervisors"]}
    for visit in visits:
        day = moment(visit["occurred_at"]).astimezone(SHANGHAI).date().isoformat()
        window, person = windows[visit["window"]], people[visit["supervisor"]]
        assert window["opened_on"] <= day < window.get("closed_on", "9999")
        assert person["trained_on"] <= day <= person["term_ends"]
    counts = Counter(visit["window"] for visit in visits)
    assert min(counts[code] for code in windows) >= 3
    assert {visit["kind"] for visit in visits} == {"planned", "unannounced"}


def score(item: Mapping[str, Any], answer: Mapping[str, Any]) -> Fraction | None:
    if "value" in answer:
        return Fraction(answer["value"], item["max"])
    if "observed" in answer:
        return Fraction(answer["observed"], answer["of"])
    return {"pass": Fraction(1), "fail": Fraction(0), "na": None}[answer["result"]]


def test_answers_fit_their_items_and_a_failed_required_item_or_an_na_has_a_note(
    visits: list[dict[str, Any]],
) -> None:
    items = {item["id"]: item for item in CAMPAIGN["items"]}
    forms = {"pass_fail": {"result"}, "scale": {"value"}, "count": {"observed", "of"}}
    failed = 0
    for visit in visits:
        assert visit["answers"]
        assert len({answer["item"] for answer in visit["answers"]}) == len(visit["answers"])
        for answer in visit["answers"]:
            item = items[answer["item"]]
            got = score(item, answer)
            if got is None:
                assert answer["note"]
                continue
            assert set(answer) - {"item", "note"} == forms[item["kind"]]
            assert 0 <= got <= 1
            if got < Fraction(item["pass_at"]) and (item["required"] or item["critical"]):
                failed += 1
                assert answer["note"]
    assert failed > 100


def conforming(visits: list[dict[str, Any]]) -> int:
    """How many windows have no required item failing in their latest answers."""
    items = {item["id"]: item for item in CAMPAIGN["items"]}
    failing: dict[str, set[str]] = {}
    for visit in visits:
        bad = failing.setdefault(visit["window"], set())
        for answer in visit["answers"]:
            item, got = items[answer["item"]], score(items[answer["item"]], answer)
            if got is not None and item["required"]:
                bad.discard(item["id"]) if got >= Fraction(item["pass_at"]) else bad.add(item["id"])
    return sum(not bad for bad in failing.values())


def test_windows_come_to_conform_and_not_all_of_them(visits: list[dict[str, Any]]) -> None:
    early, late = conforming(visits[:240]), conforming(visits)
    assert early < 80 < 100 <= late < 120


def test_ratings_fit_the_contract_and_come_in_order_in_batches_of_a_day(
    batches: list[list[dict[str, Any]]],
) -> None:
    schema = RatingCall()
    every = [rating for batch in batches for rating in batch]
    assert len({rating["id"] for rating in every}) == len(every) == 6000
    assert all(not schema.validate(rating) for rating in every)
    assert all(first["occurred_at"] <= second["occurred_at"] for first, second in pairwise(every))
    assert all(not rating.get("default") for rating in every)
    assert {rating["channel"] for rating in every} == set(truth.CHANNELS)
    for batch in batches:
        assert 1 <= len(batch) <= 500
        assert len({moment(rating["occurred_at"]).astimezone(SHANGHAI).date() for rating in batch}) == 1


def test_a_day_of_many_ratings_is_cut_into_batches_of_500(registry: dict[str, Any]) -> None:
    one_day = {**CAMPAIGN, "opens": "2007-03-01", "closes": "2007-05-08"}
    assert truth.working_days(one_day) == [date(2007, 3, 8)]
    assert [len(batch) for batch in truth.ratings(1, one_day, registry, 1203)] == [500, 500, 203]


def test_some_voters_rate_a_window_twice_on_a_day_by_one_channel(batches: list[list[dict[str, Any]]]) -> None:
    keys = Counter(
        (rating["window"], rating["channel"], rating["voter"], rating["occurred_at"][:10])
        for batch in batches
        for rating in batch
        if "voter" in rating
    )
    assert 20 < sum(count > 1 for count in keys.values()) < 600
    voters: dict[str, set[tuple[str, str]]] = {}
    for window, channel, voter, _ in keys:
        voters.setdefault(voter, set()).add((window, channel))
    assert all(len(places) == 1 for places in voters.values())


def wilson_verdict(content: int, n: int) -> str:
    """The verdict of the rules of the score on 95 %."""
    target, z2 = Fraction(95, 100), Fraction("3.841458820694124")
    off = content - n * target
    if off**2 >= z2 * n * target * (1 - target) and off >= 0:
        return "met"
    return "missed" if off < 0 and off**2 > z2 * n * target * (1 - target) else "insufficient"


def test_satisfaction_rises_from_92_to_97_percent_and_the_verdict_turns_from_missed_to_met(
    batches: list[list[dict[str, Any]]],
) -> None:
    content = n = 0
    verdicts, shares = [], []
    for batch in batches:
        content += sum(rating["level"] >= 3 for rating in batch)
        n += len(batch)
        verdicts.append(wilson_verdict(content, n))
        shares.append(content / n)
    assert 0.90 < shares[len(shares) // 10] < 0.94
    assert 0.96 < shares[-1] < 0.98
    changes = [verdict for before, verdict in pairwise([None, *verdicts]) if verdict != before]
    assert "missed" in changes
    assert changes[-1] == "met"


def test_a_hidden_quality_is_lower_where_more_is_found(
    visits: list[dict[str, Any]], registry: dict[str, Any]
) -> None:
    quality = {window["code"]: truth.hidden_quality(7, window["code"]) for window in registry["windows"]}
    assert all(truth.WORST <= value <= 1 for value in quality.values())
    items = {item["id"]: item for item in CAMPAIGN["items"]}
    half = sorted(quality, key=lambda code: quality[code])[:60]
    fails = Counter(
        visit["window"] in half
        for visit in visits
        for answer in visit["answers"]
        if (got := score(items[answer["item"]], answer)) is not None
        and got < Fraction(items[answer["item"]]["pass_at"])
    )
    assert fails[True] > 2 * fails[False]


def test_a_registry_in_which_nothing_is_open_is_refused_by_name(registry: dict[str, Any]) -> None:
    closed = [{**window, "closed_on": "2006-12-31"} for window in registry["windows"]]
    for stream in (truth.visits, truth.ratings):
        with pytest.raises(ValueError, match="no window"):
            list(stream(1, CAMPAIGN, {**registry, "windows": closed}, 5))
    with pytest.raises(ValueError, match="no supervisor"):
        list(truth.visits(1, CAMPAIGN, {**registry, "supervisors": []}, 5))


@settings(max_examples=20, deadline=timedelta(seconds=2))
@given(st.integers(0, 2**31), st.integers(0, 40))
def test_any_seed_gives_as_many_visits_as_asked_within_the_campaign(seed: int, count: int) -> None:
    found, _ = read(DATA)
    assert found is not None
    visits = list(truth.visits(seed, CAMPAIGN, found.as_dict(), count))
    assert len(visits) == count
    first, last = datetime(2007, 1, 7, 16, tzinfo=UTC), datetime(2007, 10, 31, 16, tzinfo=UTC)
    assert all(first <= moment(visit["occurred_at"]) < last for visit in visits)
