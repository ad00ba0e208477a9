"""Reporting's read models on a real database: the same events give the same models, however they arrive."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.database import Database
from services.chassis.mongo import Mongo
from services.contracts import golden, reporting
from services.contracts.catalogue import EVENTS
from services.contracts.envelope import Event, decode
from services.contracts.errors import NotFound, NotReady
from services.reporting.domain.changes import KEPT
from services.reporting.domain.merge import Score
from services.reporting.reports import city_report, window_report
from services.reporting.store import ReadModels

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def example(type_: str) -> Event:
    """The golden example of an event, as its producer publishes it."""
    return decode(golden.event_path(EVENTS[type_]).read_bytes(), EVENTS)


CAMPAIGN: dict[str, Any] = example("inspection.campaign_published.v1").data["campaign"]
WINDOWS: list[dict[str, Any]] = example("inspection.windows_registered.v1").data["windows"]
SCORE = Score.from_fact(example("scoring.score_changed.v1").data, example("scoring.score_changed.v1").time)


def score(code: str, version: int, level: str = "window", **changed: Any) -> Score:
    figure = {**deepcopy(SCORE.figure), "level": level, "code": code, **changed}
    explanation = {"code": code, "version": version} if level == "window" else None
    return Score(CAMPAIGN["id"], level, code, version, "2007-03-01T01:00:00.000Z", figure, explanation)


@pytest.fixture
def mongo(database: Database) -> Iterator[Mongo]:
    """A database of its own for each test."""
    connected = Mongo.connect(database.uri(), f"reporting_{uuid4().hex}", "test")
    yield connected
    connected.client.drop_database(connected.db.name)
    connected.client.close()


@pytest.fixture
def models(mongo: Mongo) -> ReadModels:
    read_models = ReadModels(mongo)
    read_models.ensure_indexes()
    return read_models


@pytest.fixture
def city(models: ReadModels) -> ReadModels:
    """The read models after a campaign was published and its windows registered."""
    models.publish_campaign(CAMPAIGN, NOW)
    models.register_windows(WINDOWS, NOW)
    return models


def figures(mongo: Mongo) -> list[dict[str, Any]]:
    return list(mongo.db["figures"].find({}, {"stamp": 0}).sort("_id", 1))


def test_a_score_reaches_the_window_with_its_explanation(city: ReadModels) -> None:
    code = WINDOWS[0]["code"]
    assert city.apply_scores([score(code, 3, facility="87.35")], NOW) == 1
    model = city.window(code)
    assert model is not None
    assert (model["version"], model["figure"]["facility"]) == (3, "87.35")
    assert model["explanation"] == {"code": code, "version": 3}


def test_figures_are_shown_exactly_as_scoring_gave_them(city: ReadModels) -> None:
    city.apply_scores([SCORE], NOW)
    model = city.window(SCORE.code)
    assert model is not None
    assert (model["figure"], model["explanation"]) == (SCORE.figure, SCORE.explanation)


def test_an_equal_or_older_version_changes_nothing_not_even_the_stamp(city: ReadModels, mongo: Mongo) -> None:
    code = WINDOWS[0]["code"]
    city.apply_scores([score(code, 3, facility="87.35")], NOW)
    before, stamp = figures(mongo), city.stamp()
    for version in (3, 2, 1):
        assert city.apply_scores([score(code, version, facility="1.00")], NOW + timedelta(1)) == 0
    assert (figures(mongo), city.stamp()) == (before, stamp)


def test_order_and_duplicates_do_not_matter(city: ReadModels, mongo: Mongo) -> None:
    names = [(window["code"], "window") for window in WINDOWS] + [("GJ", "industry"), ("city", "city")]
    scores = [
        score(code, version, level, facility=f"{version}.00")
        for code, level in names
        for version in range(1, 6)
    ]
    city.apply_scores(scores, NOW)
    expected = figures(mongo)
    dice = random.Random(11)
    for _ in range(4):
        mongo.db["figures"].delete_many({})
        shuffled = scores + dice.sample(scores, 8)
        dice.shuffle(shuffled)
        for start in range(0, len(shuffled), 5):
            city.apply_scores(shuffled[start : start + 5], NOW)
        assert figures(mongo) == expected


def test_two_writers_at_once_leave_the_highest_version_and_lose_no_stamp(
    city: ReadModels, mongo: Mongo
) -> None:
    code = WINDOWS[0]["code"]
    before = city.stamp().value
    applied: list[int] = []

    def write(versions: range) -> None:
        for version in versions:
            applied.append(city.apply_scores([score(code, version), score("GJ", version, "industry")], NOW))

    writers = [threading.Thread(target=write, args=(range(first, 40, 2),)) for first in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {figure["version"] for figure in figures(mongo)} == {39}
    assert city.stamp().value - before == sum(1 for count in applied if count)
    held = mongo.db["explanations"].find_one({"code": code})
    assert held is not None
    assert held["version"] == 39


def test_scores_may_come_before_the_campaign_and_the_register(models: ReadModels) -> None:
    models.apply_scores([score("city", 1, "city"), score(WINDOWS[0]["code"], 1)], NOW)
    assert models.city() is None
    with pytest.raises(NotReady):
        city_report(models.city())
    models.publish_campaign(CAMPAIGN, NOW)
    models.register_windows(WINDOWS, NOW)
    report = city_report(models.city())
    assert report["city"]["code"] == "city"
    assert report["changes"][0]["name"] == WINDOWS[0]["name"]


def test_the_stamp_grows_with_each_batch_that_changes_something(city: ReadModels) -> None:
    stamps = [city.stamp().value]
    for version in (1, 2, 2, 3):
        city.apply_scores([score(WINDOWS[0]["code"], version)], NOW)
        stamps.append(city.stamp().value)
    assert [after - before for before, after in pairwise(stamps)] == [1, 1, 0, 1]


def test_changes_say_from_what_to_what_latest_first(city: ReadModels) -> None:
    code = WINDOWS[0]["code"]
    city.apply_scores([score(code, 1, facility="85.00")], NOW)
    city.apply_scores([score(code, 2, facility="87.35")], NOW)
    latest = city_report(city.city())["changes"][0]
    assert (latest["level"], latest["code"], latest["name"], latest["version"]) == (
        "window", code, WINDOWS[0]["name"], 2,
    )  # fmt: skip
    assert latest["shifts"] == [{"what": "facility", "before": "85.00", "after": "87.35"}]


def test_the_list_of_changes_is_bounded(city: ReadModels) -> None:
    for version in range(1, KEPT + 20):
        city.apply_scores([score(WINDOWS[0]["code"], version, facility=f"{version}.00")], NOW)
    changes = city_report(city.city())["changes"]
    assert len(changes) == KEPT
    assert [change["version"] for change in changes] == list(range(KEPT + 19, 19, -1))


def test_an_older_register_does_not_rename_a_window(city: ReadModels) -> None:
    code = WINDOWS[0]["code"]
    renamed = {**WINDOWS[0], "version": WINDOWS[0]["version"] + 1, "name": "新名窗口"}
    assert city.register_windows([WINDOWS[0], renamed], NOW) == 1
    assert city.register_windows([WINDOWS[0]], NOW) == 0
    model = city.window(code)
    assert model is not None
    assert model["window"]["name"] == "新名窗口"


def test_no_contact_is_kept(city: ReadModels, mongo: Mongo) -> None:
    held = list(mongo.db["windows"].find())
    assert held
    assert not [key for window in held for key in window if key.startswith("contact")]


def test_the_campaign_clock_moves_the_day_forward_only(city: ReadModels) -> None:
    evening = datetime(2007, 4, 30, 16, 30, tzinfo=UTC)
    assert city.look(evening, NOW).day == "2007-05-01"
    assert city.look(evening - timedelta(days=3), NOW).day == "2007-05-01"
    assert city.look(None, NOW).day == "2007-05-01"
    stamp = city.stamp().value
    assert city.look(evening, NOW).value == stamp


def test_an_industry_is_shown_with_its_windows_and_also_before_it_has_a_figure(city: ReadModels) -> None:
    code = WINDOWS[0]["industry"]
    model = city.industry(code)
    assert model is not None
    assert model["name"] == WINDOWS[0]["industry_name"]
    assert model["figure"] is None
    city.apply_scores([score(code, 1, "industry"), score(WINDOWS[0]["code"], 1)], NOW)
    model = city.industry(code)
    assert model is not None
    scored = [window["figure"] is not None for window in model["windows"]]
    assert sum(scored) == 1
    assert city.industry("none") is None


def test_the_reports_obey_their_contract(city: ReadModels) -> None:
    city.apply_scores([SCORE, score("city", 1, "city"), score(WINDOWS[0]["industry"], 1, "industry")], NOW)
    city.look(datetime(2007, 3, 1, tzinfo=UTC), NOW)
    assert reporting.CityReport().validate(city_report(city.city())) == {}
    scored = window_report(city.window(SCORE.code), SCORE.code)
    assert reporting.WindowReport().validate(scored) == {}
    unscored = next(window["code"] for window in WINDOWS if window["code"] != SCORE.code)
    empty = window_report(city.window(unscored), unscored)
    assert reporting.WindowReport().validate(empty) == {}
    assert (empty["version"], empty["figure"], empty["explanation"]) == (0, None, None)


def test_a_window_that_is_not_registered_is_not_found(city: ReadModels) -> None:
    with pytest.raises(NotFound) as refusal:
        window_report(city.window("9999"), "9999")
    assert "window" in refusal.value.fields
