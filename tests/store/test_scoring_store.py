"""Scoring's store on a real database: whatever the order, the batches and the repeats, the state is the rebuild's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.database import Database
from mingchuang.campaign_file import load
from rehearsal import truth
from services.chassis.mongo import Mongo
from services.contracts import inspection
from services.contracts.base import EventContract
from services.contracts.envelope import Event, decode, new_event
from services.contracts.errors import InvalidPayload, NotFound, NotReady
from services.inspection import workbook
from services.scoring.store import Store

ROOT = Path(__file__).parents[2]
TIME = "2026-01-01T00:00:00.000Z"
SEED = 20070228


@pytest.fixture(scope="module")
def campaign() -> dict[str, Any]:
    return load(ROOT / "campaigns" / "changzhou-2007.yaml")


@pytest.fixture(scope="module")
def registry() -> dict[str, Any]:
    read, errors = workbook.read((ROOT / "campaigns" / "changzhou-2007" / "registry.xlsx").read_bytes())
    assert not errors
    assert read is not None
    return {**read.as_dict(), "windows": [dict(window) for window in read.windows[:12]]}


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    mongo = Mongo.connect(database.uri(), f"scoring_{uuid4().hex}", "test")
    mongo.ensure_indexes()
    made = Store(mongo)
    made.ensure_indexes()
    yield made
    mongo.client.drop_database(mongo.db.name)
    mongo.client.close()


def event(contract: EventContract, subject: str, version: int, data: dict[str, Any]) -> Event:
    return new_event(contract, subject=subject, version=version, time=TIME, data=data)


def publication(campaign: dict[str, Any]) -> Event:
    return event(
        inspection.campaign_published,
        f"campaign/{campaign['id']}",
        campaign["version"],
        {"campaign": campaign},
    )


def registration(registry: dict[str, Any], version: int = 1, **changes: Any) -> Event:
    units = {unit["code"]: unit for unit in registry["units"]}
    industries = {industry["code"]: industry["name"] for industry in registry["industries"]}
    windows = []
    for window in registry["windows"]:
        unit = units[window["unit"]]
        windows.append(
            {
                **window,
                "version": version,
                "unit_name": unit["name"],
                "industry": unit["industry"],
                "industry_name": industries[unit["industry"]],
                **changes,
            }
        )
    return event(inspection.windows_registered, "registry/windows", version, {"windows": windows})


def visit_event(contract: EventContract, visit: dict[str, Any], version: int, **changes: Any) -> Event:
    data = {**visit, "version": version, "recorded_at": TIME, "findings": [], **changes}
    return event(contract, f"visit/{visit['visit_id']}", version, data)


def rating_facts(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**rating, "version": 1, "voter": rating.get("voter"), "withdrawn": False} for rating in batch]


def clock(day: date) -> Event:
    completed = day - timedelta(days=1)
    return event(
        inspection.clock_advanced,
        "clock/campaign",
        day.toordinal() * 86_400_000,
        {"now": f"{day}T04:00:00Z", "day": day.isoformat(), "completed_day": completed.isoformat()},
    )


def history(seed: int, campaign: dict[str, Any], registry: dict[str, Any]) -> list[Event]:
    """Visits with amendments and voids, ratings with withdrawals, the registry, the campaign and some days."""
    chance = random.Random(seed)
    events = [
        publication(campaign),
        registration(registry),
        *(clock(date(2007, month, 10)) for month in (3, 6, 9)),
    ]
    visits = list(truth.visits(seed, campaign, registry, 60))
    for visit in visits:
        events.append(visit_event(inspection.visit_recorded, visit, 1))
        if chance.random() < 0.3:
            answers = chance.choice(visits)["answers"]
            events.append(
                visit_event(inspection.visit_amended, {**visit, "answers": answers}, 2, reason="更正")
            )
        if chance.random() < 0.2:
            events.append(visit_event(inspection.visit_voided, visit, 3, voided=True, reason="作废"))
    for number, batch in enumerate(truth.ratings(seed, campaign, registry, 600)):
        facts = rating_facts(batch)
        events.append(event(inspection.ratings_recorded, f"ratings/{number}", 1, {"ratings": facts}))
        for rating in chance.sample(facts, len(facts) // 10):
            gone = {**rating, "version": 2, "withdrawn": True}
            events.append(
                event(
                    inspection.rating_withdrawn,
                    f"rating/{rating['id']}",
                    2,
                    {"rating": gone, "reason": "撤回"},
                )
            )
    return events


def apply(store: Store, events: list[Event]) -> None:
    """Hand events to the handlers of their queues in the order given, neighbours of one queue as one batch of up to 20."""
    handlers = {
        "visits": store.apply_visits,
        "ratings": store.apply_ratings,
        "reference": store.apply_reference,
    }
    waiting: dict[str, list[Event]] = {name: [] for name in handlers}
    for each in events:
        name = each.type.split(".")[1]
        if name == "clock_advanced":
            store.advance(each)
            continue
        queue = {"visit": "visits", "ratings": "ratings", "rating": "ratings"}.get(
            name.split("_")[0], "reference"
        )
        waiting[queue].append(each)
        if len(waiting[queue]) == 20:
            handlers[queue](waiting[queue])
            waiting[queue] = []
    for queue, rest in waiting.items():
        handlers[queue](rest)


def figures(store: Store) -> dict[str, Any]:
    return {doc["_id"]: doc["figure"] for doc in store._db["scores"].find()}


def outgoing(store: Store) -> list[Event]:
    from services.contracts.catalogue import EVENTS

    return [decode(bytes(doc["body"]), EVENTS) for doc in store._db["outbox"].find().sort("order", 1)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_with_duplicates_gives_the_rebuild_and_the_same_figures(
    store: Store, database: Database, campaign: dict[str, Any], registry: dict[str, Any], seed: int
) -> None:
    events = history(SEED, campaign, registry)
    shuffled = events + random.Random(seed).choices(events, k=len(events) // 3)
    random.Random(seed * 7).shuffle(shuffled)
    apply(store, shuffled)
    store.refresh()
    compared = store.compare()
    assert compared["differences"] == []
    assert compared["pending"] == 0
    assert compared["visits"] == 60
    assert compared["windows"] == 12

    mongo = Mongo.connect(database.uri(), f"scoring_{uuid4().hex}", "test")
    mongo.ensure_indexes()
    straight = Store(mongo)
    straight.ensure_indexes()
    apply(straight, events)
    straight.refresh()
    assert figures(straight) == figures(store)
    assert straight.digest() == store.digest()
    mongo.client.drop_database(mongo.db.name)
    mongo.client.close()


def test_a_batch_gives_what_its_events_give_one_by_one(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    events = history(SEED, campaign, registry)
    visits = [each for each in events if ".visit_" in each.type]
    ratings = [each for each in events if ".rating" in each.type]
    store.apply_ratings(ratings + ratings[:3])
    store.apply_visits(visits + visits[:5])
    store.apply_reference([registration(registry), publication(campaign)])
    store.advance(clock(date(2007, 9, 10)))
    store.refresh()
    assert store.compare()["differences"] == []


def test_a_second_campaign_version_leaves_visits_under_the_first_as_they_were_scored(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    store.apply_reference([publication(campaign), registration(registry)])
    visits = list(islice(truth.visits(SEED, campaign, registry, 30), 30))
    store.apply_visits([visit_event(inspection.visit_recorded, visit, 1) for visit in visits])
    store.refresh()
    before = {
        code: store.explain(code)["explanation"]["items"] for code in {visit["window"] for visit in visits}
    }
    heavier = {
        **campaign,
        "version": 2,
        "items": [{**item, "weight": item.get("weight", 1) * 3} for item in campaign["items"]],
    }
    store.apply_reference([publication(heavier)])
    store.refresh()
    after = {code: store.explain(code)["explanation"]["items"] for code in before}
    assert after == before
    assert store.compare()["differences"] == []


def test_an_amendment_to_another_window_is_refused_and_changes_nothing(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    store.apply_reference([publication(campaign), registration(registry)])
    [visit] = islice(truth.visits(SEED, campaign, registry, 1), 1)
    store.apply_visits([visit_event(inspection.visit_recorded, visit, 1)])
    before = figures(store)
    other = next(window["code"] for window in registry["windows"] if window["code"] != visit["window"])
    with pytest.raises(InvalidPayload, match="window"):
        store.apply_visits(
            [visit_event(inspection.visit_amended, {**visit, "window": other}, 2, reason="更正")]
        )
    assert figures(store) == before


def test_a_figure_is_announced_once_however_often_its_fact_comes(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    store.apply_reference([publication(campaign), registration(registry)])
    store.refresh()
    store._db["outbox"].delete_many({})
    [visit] = islice(truth.visits(SEED, campaign, registry, 1), 1)
    for _ in range(3):
        store.apply_visits([visit_event(inspection.visit_recorded, visit, 1)])
    announced = [each for each in outgoing(store) if each.type == "scoring.score_changed.v1"]
    assert [each.subject for each in announced] == [f"window/{visit['window']}"]
    assert announced[0].data["explanation"]["visits"]


def test_a_closed_window_leaves_the_means_and_its_ratings_stay_in_the_city(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    apply(store, history(SEED, campaign, registry))
    store.refresh()
    before = store.score("city", "city")["figure"]
    store.apply_reference(
        [registration({**registry, "windows": registry["windows"][:1]}, 2, closed_on="2007-09-01")]
    )
    store.refresh()
    after = store.score("city", "city")["figure"]
    assert after["windows"]["open"] == before["windows"]["open"] - 1
    assert after["satisfaction"]["n"] == before["satisfaction"]["n"]
    assert store.compare()["differences"] == []


def test_a_tampered_figure_shows_as_a_difference(
    store: Store, campaign: dict[str, Any], registry: dict[str, Any]
) -> None:
    apply(store, history(SEED, campaign, registry))
    store.refresh()
    store._db["scores"].update_one({"_id": "city/city"}, {"$set": {"figure.facility": "99.99"}})
    assert [difference["figure"] for difference in store.compare()["differences"]] == ["city/city"]


def test_an_unknown_window_and_a_missing_campaign_are_said_plainly(
    store: Store, campaign: dict[str, Any]
) -> None:
    with pytest.raises(NotReady, match="campaign"):
        store.explain("W1")
    store.apply_reference([publication(campaign)])
    with pytest.raises(NotFound, match="W1"):
        store.score("window", "W1")
    with pytest.raises(NotFound, match="W1"):
        store.explain("W1")
