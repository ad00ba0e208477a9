"""Inspection's store on a real database: every order is one transaction, and repeating it is harmless."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from openpyxl import Workbook

from deploy.local.database import Database
from services.chassis.mongo import Mongo
from services.contracts import campaign as campaign_contract
from services.contracts import inspection
from services.contracts.envelope import decode
from services.contracts.errors import Conflict, DomainError, InvalidPayload, NotAllowed, NotFound
from services.inspection import intake
from services.inspection.domain.clock import Stamp
from services.inspection.domain.registry import (
    CONTACTS,
    INDUSTRIES,
    SHEETS,
    SUPERVISORS,
    UNITS,
    WINDOWS,
    Registry,
)
from services.inspection.store import Store

ROOT = Path(__file__).parents[2]
TYPES = {contract.type: contract for contract in inspection.EVENTS}
STAMP = Stamp(datetime(2007, 6, 1, 4, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), "office")


@pytest.fixture(scope="module")
def uri(database: Database) -> str:
    return database.uri()


@pytest.fixture
def mongo(uri: str) -> Iterator[Mongo]:
    """A database of its own for each test."""
    connected = Mongo.connect(uri, f"inspection_{uuid4().hex}", "test")
    connected.ensure_indexes()
    yield connected
    connected.client.drop_database(connected.db.name)
    connected.client.close()


@pytest.fixture
def store(mongo: Mongo) -> Store:
    made = Store(mongo)
    made.ensure_indexes()
    return made


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The real campaign, as it comes over the wire."""
    raw = yaml.safe_load((ROOT / "campaigns/changzhou-2007.yaml").read_text(encoding="utf-8"))
    plain: dict[str, Any] = campaign_contract.validate(json.loads(json.dumps(raw, default=date.isoformat)))
    return plain


def registry(windows: int = 3, **changes: str) -> Registry:
    """An industry with one unit, so many windows, two supervisors; ``changes`` go to the first window."""
    made = [
        {
            "code": f"GJ-01-{number:02d}",
            "name": f"示例窗口{number}",
            "unit": "GJ-01",
            "district": "天宁区",
            "address": f"天宁区示例路{number}号",
            "opened_on": "2005-03-01",
            "contact_name": f"示例联系人{number:03d}",
            "contact_email": f"lianxi{number:03d}@example.org",
        }
        for number in range(1, windows + 1)
    ]
    made[0] = {**made[0], **changes}
    return Registry(
        [{"code": "GJ", "name": "公交"}],
        [{"code": "GJ-01", "name": "示例公交第一公司", "industry": "GJ", "uscc": "91110000600037341L"}],
        made,
        [
            {
                "code": f"DC00{n}",
                "name": f"示例督察员00{n}",
                "email": f"ducha00{n}@example.org",
                "term_ends": "2007-12-31",
            }
            for n in (1, 2)
        ],
    )


@pytest.fixture
def city(store: Store, document: dict[str, Any]) -> Store:
    """The campaign published, the registry imported, their events taken away."""
    store.publish_campaign(document, STAMP, driven=False)
    store.import_registry(registry(), STAMP)
    store._mongo.db["outbox"].delete_many({})
    return store


def required_item(document: dict[str, Any]) -> str:
    return next(
        str(item["id"]) for item in document["items"] if item["required"] and item["kind"] == "pass_fail"
    )


def visit(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = {
        "visit_id": "v-1",
        "campaign": document["id"],
        "campaign_version": 1,
        "window": "GJ-01-01",
        "supervisor": "DC001",
        "kind": "unannounced",
        "occurred_at": "2007-05-01T01:30:00.000Z",
        "answers": [{"item": required_item(document), "result": "fail", "note": "未公示"}],
        **changes,
    }
    return (
        inspection.record_visit.load(body) if "version" not in changes else inspection.amend_visit.load(body)
    )


def rating(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "window": "GJ-01-01",
        "channel": "12345",
        "level": 5,
        "occurred_at": "2007-05-01T09:30:00+08:00",
        **changes,
    }


def published(mongo: Mongo) -> list[Any]:
    """The outgoing events, oldest first, each checked against its contract."""
    return [decode(bytes(entry["body"]), TYPES) for entry in mongo.db["outbox"].find().sort("order", 1)]


def facts_of(mongo: Mongo) -> dict[str, list[Any]]:
    """Everything the store keeps, to show that nothing changed."""
    return {
        name: list(mongo.db[name].find().sort("_id", 1)) for name in sorted(mongo.db.list_collection_names())
    }


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The calls' results or domain errors, all started at the same moment."""
    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        gate.wait()
        try:
            results[place] = calls[place]()
        except DomainError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- campaigns


def test_a_campaign_is_published_once_with_one_event(
    store: Store, mongo: Mongo, document: dict[str, Any]
) -> None:
    first = store.publish_campaign(document, STAMP, driven=False)
    assert first.answer == {"campaign": document["id"], "version": 1}
    before = facts_of(mongo)
    again = store.publish_campaign(deepcopy(document), STAMP, driven=False)
    assert (again.answer, again.new) == (first.answer, 0)
    assert facts_of(mongo) == before
    [event] = published(mongo)
    assert (event.type, event.version) == ("inspection.campaign_published.v1", 1)
    assert event.data["campaign"] == document


def test_the_same_version_with_another_body_and_a_gap_in_versions_are_conflicts(
    store: Store,
    document: dict[str, Any],
) -> None:
    with pytest.raises(Conflict, match="must be 1"):
        store.publish_campaign({**document, "version": 2}, STAMP, driven=False)
    store.publish_campaign(document, STAMP, driven=False)
    with pytest.raises(Conflict, match="another body"):
        store.publish_campaign({**document, "name": "另一个活动"}, STAMP, driven=False)
    with pytest.raises(Conflict, match="must be 2"):
        store.publish_campaign({**document, "version": 3}, STAMP, driven=False)


def test_a_second_version_leaves_the_facts_of_the_first_as_they_are(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    city.record_visit(visit(document), STAMP)
    city.record_ratings("b-1", [rating("r-1")], STAMP)
    before = (
        city.get_visit("v-1"),
        city.fact_digest(None, None),
        list(mongo.db["campaigns"].find({"version": 1})),
    )
    changed = deepcopy(document)
    changed["version"] = 2
    for item in changed["items"]:
        item["required"] = False
    city.publish_campaign(changed, STAMP, driven=False)
    after = (
        city.get_visit("v-1"),
        city.fact_digest(None, None),
        list(mongo.db["campaigns"].find({"version": 1})),
    )
    assert after == before
    assert city.record_visit(visit(document, visit_id="v-2"), STAMP).answer["findings"] == 1
    assert (
        city.record_visit(visit(document, visit_id="v-3", campaign_version=2), STAMP).answer["findings"] == 0
    )


def test_two_rivals_publish_a_version_only_once(store: Store, mongo: Mongo, document: dict[str, Any]) -> None:
    results = at_once(
        *(
            lambda name=name: store.publish_campaign({**document, "name": name}, STAMP, driven=False)
            for name in ("甲", "乙", "丙", "丁")
        )
    )
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert len(published(mongo)) == 1


def test_a_campaign_that_breaks_its_schema_is_named_by_place(document: dict[str, Any]) -> None:
    broken = deepcopy(document)
    broken["items"][3]["kind"] = "guess"
    with pytest.raises(InvalidPayload) as refused:
        intake.campaign_document(broken)
    assert list(refused.value.fields) == ["campaign.items[3].kind"]


# --- the registry


def test_an_import_registers_windows_and_repeating_it_changes_nothing(store: Store, mongo: Mongo) -> None:
    first = store.import_registry(registry(), STAMP)
    assert first.answer == {
        "imported": True,
        "industries": 1,
        "units": 1,
        "windows": 3,
        "supervisors": 2,
        "changed_windows": 3,
    }
    before = facts_of(mongo)
    again = store.import_registry(registry(), STAMP)
    assert again.answer == {**first.answer, "changed_windows": 0}
    assert facts_of(mongo) == before
    [event] = published(mongo)
    assert [(fact["code"], fact["version"], fact["industry_name"]) for fact in event.data["windows"]] == [
        ("GJ-01-01", 1, "公交"),
        ("GJ-01-02", 1, "公交"),
        ("GJ-01-03", 1, "公交"),
    ]


def test_only_a_changed_window_gets_a_new_version_and_is_announced(store: Store, mongo: Mongo) -> None:
    store.import_registry(registry(), STAMP)
    store.import_registry(registry(address="天宁区示例路99号"), STAMP)
    first, second = published(mongo)
    assert [(fact["code"], fact["version"]) for fact in second.data["windows"]] == [("GJ-01-01", 2)]
    assert second.version == first.version + 1


def test_many_windows_are_announced_in_events_of_at_most_500(store: Store, mongo: Mongo) -> None:
    store.import_registry(registry(windows=1201), STAMP)
    events = published(mongo)
    assert [len(event.data["windows"]) for event in events] == [500, 500, 201]
    assert [event.version for event in events] == [1, 2, 3]
    assert len({fact["code"] for event in events for fact in event.data["windows"]}) == 1201


def test_a_closed_window_keeps_its_closing_day(store: Store, mongo: Mongo) -> None:
    store.import_registry(registry(closed_on="2007-05-31"), STAMP)
    store.import_registry(registry(), STAMP)
    assert mongo.db["windows"].find_one({"_id": "GJ-01-01"}, {"_id": 0, "closed_on": 1, "version": 1}) == {
        "closed_on": "2007-05-31",
        "version": 1,
    }
    before = facts_of(mongo)
    with pytest.raises(InvalidPayload) as refused:
        store.import_registry(registry(windows=4, closed_on="2007-09-30"), STAMP)
    assert list(refused.value.fields) == ["windows.GJ-01-01.closed_on"]
    assert facts_of(mongo) == before


def workbook(window_name: str = "公交月票服务窗口", opened_on: object = "2005-03-01") -> str:
    book = Workbook()
    book.remove(book.active)
    rows = {
        INDUSTRIES: ["GJ", "公交"],
        UNITS: ["GJ-01", "示例公交第一公司", "GJ", "91110000600037341L"],
        WINDOWS: ["GJ-01-01", window_name, "GJ-01", "天宁区", "天宁区示例路1号", opened_on, "", "LX001"],
        CONTACTS: ["LX001", "示例联系人001", "lianxi001@example.org"],
        SUPERVISORS: ["DC001", "示例督察员001", "ducha001@example.org", "2006-12-20", "2007-12-31"],
    }
    for name, values in rows.items():
        sheet = book.create_sheet(name)
        sheet.append([column.header for column in SHEETS[name]])
        sheet.append(values)
    stream = BytesIO()
    book.save(stream)
    return base64.b64encode(stream.getvalue()).decode()


def test_a_workbook_becomes_the_registry(store: Store) -> None:
    assert store.import_registry(intake.registry_of(workbook()), STAMP).answer["changed_windows"] == 1


def test_a_bad_workbook_is_refused_with_each_bad_cell_named() -> None:
    with pytest.raises(InvalidPayload) as refused:
        intake.registry_of(workbook(window_name="", opened_on="昨天"))
    assert set(refused.value.fields) == {"窗口!B2", "窗口!F2"}
    assert "2005-03-01" in refused.value.fields["窗口!F2"][0]


@pytest.mark.parametrize(("encoded", "place"), [("不是", "workbook"), ("bm90IHhsc3g=", "workbook")])
def test_what_is_no_workbook_is_refused(encoded: str, place: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        intake.registry_of(encoded)
    assert list(refused.value.fields) == [place]


# --- visits


def test_a_visit_is_stored_with_its_event_and_repeating_it_gives_the_same_answer(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    first = city.record_visit(visit(document), STAMP)
    assert first.answer == {"visit_id": "v-1", "version": 1, "status": "recorded", "findings": 1}
    before = facts_of(mongo)
    reordered = dict(reversed(list(visit(document).items())))
    assert city.record_visit(reordered, replace(STAMP, caller="hotline")).answer == first.answer
    assert facts_of(mongo) == before
    [event] = published(mongo)
    assert (event.type, event.subject, event.version) == ("inspection.visit_recorded.v1", "visit/v-1", 1)
    assert event.data["findings"][0]["item"] == required_item(document)
    assert event.data["recorded_at"] == "2007-06-01T04:00:00.000Z"
    assert event.time == "2026-01-01T00:00:00.000Z"


def test_the_same_visit_id_with_another_body_is_a_conflict(city: Store, document: dict[str, Any]) -> None:
    city.record_visit(visit(document), STAMP)
    with pytest.raises(Conflict):
        city.record_visit(visit(document, window="GJ-01-02"), STAMP)


@pytest.mark.parametrize(
    ("changes", "error", "places"),
    [
        ({"campaign": "nowhere"}, NotFound, {"campaign"}),
        ({"campaign_version": 2}, NotFound, {"campaign_version"}),
        ({"window": "XX-1", "supervisor": "DC999"}, NotFound, {"window", "supervisor"}),
        ({"occurred_at": "2007-06-01T04:00:00.001Z"}, InvalidPayload, {"occurred_at"}),
        ({"occurred_at": "2006-12-31T15:59:59Z"}, InvalidPayload, {"occurred_at"}),
        ({"answers": [{"item": "NONE", "result": "pass"}]}, InvalidPayload, {"answers.0.item"}),
    ],
)
def test_a_refused_visit_names_every_place_and_stores_nothing(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
    changes: dict[str, Any],
    error: type[DomainError],
    places: set[str],
) -> None:
    before = facts_of(mongo)
    with pytest.raises(error) as refused:
        city.record_visit(visit(document, **changes), STAMP)
    assert set(refused.value.fields) == places
    assert facts_of(mongo) == before


def test_an_item_of_another_version_of_the_campaign_is_refused_as_such(
    city: Store, document: dict[str, Any]
) -> None:
    renamed = deepcopy(document)
    renamed["version"] = 2
    renamed["items"][0]["id"] = "F-NEW-1"
    city.publish_campaign(renamed, STAMP, driven=False)
    with pytest.raises(InvalidPayload) as refused:
        city.record_visit(visit(document, answers=[{"item": "F-NEW-1", "result": "pass"}]), STAMP)
    assert "item of another campaign version: 2" in refused.value.fields["answers.0.item"][0]


def test_a_visit_to_a_window_that_another_process_just_closed_is_refused(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    city.record_visit(visit(document), STAMP)
    Store(mongo).import_registry(registry(closed_on="2007-05-01"), STAMP)
    with pytest.raises(InvalidPayload) as refused:
        city.record_visit(visit(document, visit_id="v-2"), STAMP)
    assert "closed from 2007-05-01" in refused.value.fields["occurred_at"][0]
    assert city.record_visit(visit(document), STAMP).new == 0  # what counted then still counts


def test_an_amendment_is_the_next_version_and_repeating_it_gives_the_same_answer(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    city.record_visit(visit(document), STAMP)
    better = visit(
        document,
        version=2,
        reason="复核后更正",
        occurred_at="2007-05-02T01:00:00.000Z",
        answers=[{"item": required_item(document), "result": "pass"}],
    )
    later = replace(STAMP, now=datetime(2007, 6, 2, tzinfo=UTC), caller="leader")
    first = city.amend_visit(better, later)
    assert first.answer == {"visit_id": "v-1", "version": 2, "status": "amended", "findings": 0}
    assert (city.amend_visit(better, STAMP).answer, city.amend_visit(better, STAMP).new) == (first.answer, 0)
    assert city.record_visit(visit(document), STAMP).answer["version"] == 1
    detail = inspection.get_visit.result().load(city.get_visit("v-1"))
    assert (detail["version"], detail["status"], detail["reason"]) == (2, "amended", "复核后更正")
    assert [
        (entry["version"], entry["status"], entry["recorded_by"], entry["recorded_at"])
        for entry in detail["history"]
    ] == [
        (1, "recorded", "office", "2007-06-01T04:00:00.000Z"),
        (2, "amended", "leader", "2007-06-02T00:00:00.000Z"),
    ]
    assert [(event.type.split(".")[1], event.version) for event in published(mongo)] == [
        ("visit_recorded", 1),
        ("visit_amended", 2),
    ]
    assert [entry["day"] for entry in city.fact_digest(None, None)["days"]] == ["2007-05-02"]


def test_an_amendment_that_is_not_the_next_version_or_moves_the_window_is_refused(
    city: Store,
    document: dict[str, Any],
) -> None:
    with pytest.raises(NotFound):
        city.amend_visit(visit(document, version=2, reason="更正"), STAMP)
    city.record_visit(visit(document), STAMP)
    with pytest.raises(Conflict, match="must be 2"):
        city.amend_visit(visit(document, version=3, reason="更正"), STAMP)
    with pytest.raises(InvalidPayload) as refused:
        city.amend_visit(visit(document, version=2, reason="更正", window="GJ-01-02"), STAMP)
    assert list(refused.value.fields) == ["window"]
    city.amend_visit(visit(document, version=2, reason="更正"), STAMP)
    with pytest.raises(Conflict, match="another body"):
        city.amend_visit(visit(document, version=2, reason="另一次更正"), STAMP)


def test_a_void_is_for_ever(city: Store, mongo: Mongo, document: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        city.void_visit("v-1", "误录", STAMP)
    city.record_visit(visit(document), STAMP)
    first = city.void_visit("v-1", "误录", STAMP)
    assert (first.answer["version"], first.answer["status"]) == (2, "voided")
    again = city.void_visit("v-1", "另一理由", STAMP)
    assert (again.answer, again.new) == (first.answer, 0)
    for version in (2, 3):
        with pytest.raises(Conflict):
            city.amend_visit(visit(document, version=version, reason="更正"), STAMP)
    assert city.record_visit(visit(document), STAMP).answer["status"] == "recorded"
    last = published(mongo)[-1]
    assert (last.type, last.version, last.data["voided"], last.data["reason"]) == (
        "inspection.visit_voided.v1",
        2,
        True,
        "误录",
    )


def test_the_same_visit_sent_by_rivals_at_once_is_one_visit(
    city: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    results = at_once(*([lambda: city.record_visit(visit(document), STAMP)] * 8))
    assert len({json.dumps(result.answer) for result in results}) == 1
    assert sum(result.new for result in results) == 1
    assert len(published(mongo)) == 1


def test_of_rival_amendments_exactly_one_is_kept(city: Store, mongo: Mongo, document: dict[str, Any]) -> None:
    city.record_visit(visit(document), STAMP)
    results = at_once(
        *(
            lambda number=number: city.amend_visit(visit(document, version=2, reason=f"更正{number}"), STAMP)
            for number in range(4)
        )
    )
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert len(city.get_visit("v-1")["history"]) == 2
    assert len(published(mongo)) == 2


def test_recording_a_visit_reads_by_key_only(city: Store, mongo: Mongo, document: dict[str, Any]) -> None:
    city.record_visit(visit(document, visit_id="v-0"), STAMP)
    mongo.db.command("profile", 2)
    city.record_visit(visit(document), STAMP)
    mongo.db.command("profile", 0)
    looked_at = [
        entry
        for entry in mongo.db["system.profile"].find({"planSummary": {"$exists": True}})
        if not entry["ns"].endswith("system.profile")
    ]
    assert looked_at
    assert all(entry.get("docsExamined", 0) <= 1 for entry in looked_at)
    assert {entry["planSummary"] for entry in looked_at} <= {"IDHACK", "EXPRESS", "EOF"}


# --- ratings


def test_each_rating_is_judged_by_itself(city: Store, mongo: Mongo) -> None:
    city.record_ratings("b-0", [rating("old"), rating("other")], STAMP)
    answer = city.record_ratings(
        "b-1",
        [
            rating("new"),
            rating("old"),
            rating("other", level=1),
            rating("strange", window="XX-1"),
            rating("early", occurred_at="2006-01-01T00:00:00Z"),
            rating("late", occurred_at="2007-06-01T04:00:01Z"),
            rating("silent", default=True),
            rating("six", level=6),
            {"window": "GJ-01-01"},
            rating("new"),
            rating("new", level=1),
            rating("extra", mood="好"),
        ],
        STAMP,
    ).answer
    assert [(entry["index"], entry["id"]) for entry in answer["accepted"]] == [(0, "new")]
    assert [(entry["index"], entry["id"]) for entry in answer["duplicates"]] == [(1, "old"), (9, "new")]
    reasons = {entry["index"]: entry["reason"] for entry in answer["rejected"]}
    assert set(reasons) == {2, 3, 4, 5, 6, 7, 8, 10, 11}
    assert reasons[2].startswith("Conflict")
    assert reasons[10].startswith("Conflict")
    assert "默认好评不计" in reasons[6]
    assert "level" in reasons[7]
    assert "mood" in reasons[11]
    assert answer["rejected"][6] == {"index": 8, "id": None, "reason": reasons[8]}
    assert [[fact["id"] for fact in event.data["ratings"]] for event in published(mongo)] == [
        ["old", "other"],
        ["new"],
    ]


def test_a_batch_sent_again_is_all_duplicates_and_a_batch_id_used_again_gets_events_of_its_own(
    city: Store,
    mongo: Mongo,
) -> None:
    batch = [rating(f"r-{number}", voter=f"voter-{number:04d}") for number in range(500)]
    assert city.record_ratings("b-1", batch, STAMP).new == 500
    before = facts_of(mongo)
    again = city.record_ratings("b-1", batch, STAMP).answer
    assert (len(again["duplicates"]), again["accepted"], again["rejected"]) == (500, [], [])
    assert facts_of(mongo) == before
    city.record_ratings("b-1", [rating("one-more")], STAMP)
    first, second = published(mongo)
    assert (first.subject, second.subject) == ("ratings/b-1", "ratings/b-1")
    assert (first.version, second.version) == (1, 2)
    assert len(first.data["ratings"]) == 500


def test_rival_calls_with_the_same_ratings_keep_each_once(city: Store, mongo: Mongo) -> None:
    def send(start: int) -> dict[str, Any]:
        return city.record_ratings(
            f"b-{start}", [rating(f"r-{number}") for number in range(start, start + 100)], STAMP
        ).answer

    answers = at_once(*(lambda start=start: send(start) for start in (0, 50, 100, 50)))
    accepted = sorted(entry["id"] for answer in answers for entry in answer["accepted"])
    assert accepted == sorted(f"r-{number}" for number in range(200))
    assert not any(answer["rejected"] for answer in answers)
    assert sorted(fact["id"] for event in published(mongo) for fact in event.data["ratings"]) == accepted


def test_501_ratings_break_the_contract() -> None:
    with pytest.raises(InvalidPayload) as refused:
        inspection.record_ratings.load({"batch_id": "b", "ratings": [rating(f"r-{n}") for n in range(501)]})
    assert list(refused.value.fields) == ["ratings"]


def test_a_withdrawn_rating_stays_withdrawn(city: Store, mongo: Mongo) -> None:
    with pytest.raises(NotFound):
        city.withdraw_rating("r-1", "误评", STAMP)
    city.record_ratings("b-1", [rating("r-1")], STAMP)
    first = city.withdraw_rating("r-1", "误评", STAMP)
    assert first.answer == {"rating_id": "r-1", "version": 2}
    before = facts_of(mongo)
    assert city.withdraw_rating("r-1", "再撤一次", STAMP).answer == first.answer
    assert city.record_ratings("b-2", [rating("r-1")], STAMP).answer["duplicates"] == [
        {"index": 0, "id": "r-1"}
    ]
    assert facts_of(mongo) == before
    last = published(mongo)[-1]
    assert (last.type, last.subject, last.version) == ("inspection.rating_withdrawn.v1", "rating/r-1", 2)
    assert (last.data["rating"]["withdrawn"], last.data["reason"]) == (True, "误评")


# --- facts


def test_the_digest_counts_and_hashes_the_current_versions_by_shanghai_day(
    city: Store,
    document: dict[str, Any],
) -> None:
    city.record_visit(visit(document, visit_id="v"), STAMP)
    city.record_visit(visit(document, visit_id="v-1"), STAMP)
    city.void_visit("v", "误录", STAMP)
    city.record_ratings(
        "b-1",
        [
            rating("r-1", occurred_at="2007-05-01T23:59:59.999+08:00"),
            rating("r-2", occurred_at="2007-05-02T00:00:00+08:00"),
        ],
        STAMP,
    )
    city.withdraw_rating("r-2", "误评", STAMP)

    def entry(day: str, kind: str, *lines: str) -> dict[str, Any]:
        text = "".join(f"{line}\n" for line in sorted(lines))
        return {
            "day": day,
            "kind": kind,
            "count": len(lines),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    may_1 = [entry("2007-05-01", "ratings", "r-1:1"), entry("2007-05-01", "visits", "v:2", "v-1:1")]
    may_2 = [entry("2007-05-02", "ratings", "r-2:2")]
    assert inspection.fact_digest.result().load(city.fact_digest(None, None)) == {"days": may_1 + may_2}
    assert city.fact_digest("2007-05-02", None) == {"days": may_2}
    assert city.fact_digest(None, "2007-05-01") == {"days": may_1}
    assert city.fact_digest("2007-06-01", "2007-06-30") == {"days": []}


# --- the campaign clock


def test_the_first_campaign_sets_a_driven_clock_to_its_opening(
    store: Store,
    mongo: Mongo,
    document: dict[str, Any],
) -> None:
    store.publish_campaign(document, STAMP, driven=True)
    _, event = published(mongo)
    assert event.data == {
        "now": "2006-12-31T16:00:00.000Z",
        "day": "2007-01-01",
        "completed_day": "2006-12-31",
    }
    store.publish_campaign({**document, "version": 2}, STAMP, driven=True)
    assert [event.type.split(".")[1] for event in published(mongo)] == [
        "campaign_published",
        "clock_advanced",
        "campaign_published",
    ]


def test_a_driven_clock_goes_forward_only(store: Store, mongo: Mongo) -> None:
    noon = datetime(2007, 5, 1, 4, tzinfo=UTC)
    first = store.advance_clock(noon, STAMP.real, driven=True)
    assert first.answer == {
        "now": "2007-05-01T04:00:00.000Z",
        "day": "2007-05-01",
        "completed_day": "2007-04-30",
        "driven": True,
    }
    assert (
        store.advance_clock(noon, STAMP.real, driven=True).answer,
        store.advance_clock(noon, STAMP.real, driven=True).new,
    ) == (
        first.answer,
        0,
    )
    with pytest.raises(Conflict) as refused:
        store.advance_clock(datetime(2007, 5, 1, 3, 59, 59, tzinfo=UTC), STAMP.real, driven=True)
    assert list(refused.value.fields) == ["to"]
    [event] = published(mongo)
    assert (event.subject, event.version) == ("clock/campaign", int(noon.timestamp()) * 1000)


def test_rivals_drive_the_clock_to_the_latest_moment_and_announce_it_in_order(
    store: Store, mongo: Mongo
) -> None:
    moments = [datetime(2007, 5, day, tzinfo=UTC) for day in range(1, 9)]
    at_once(*(partial(store.advance_clock, moment, STAMP.real, driven=True) for moment in moments))
    state = mongo.db["clock"].find_one({"_id": "campaign"})
    assert state is not None
    versions = [event.version for event in published(mongo)]
    assert state["version"] == max(versions) == int(moments[-1].timestamp()) * 1000


def test_a_new_shanghai_day_of_the_wall_clock_is_announced_once(store: Store, mongo: Mongo) -> None:
    evening = datetime(2026, 1, 1, 15, 59, 59, tzinfo=UTC)
    midnight = datetime(2026, 1, 1, 16, 0, 0, 1000, tzinfo=UTC)
    assert [store.begin_day(moment, driven=False) for moment in (evening, evening, midnight, midnight)] == [
        True,
        False,
        True,
        False,
    ]
    assert [(event.data["day"], event.data["completed_day"]) for event in published(mongo)] == [
        ("2026-01-01", "2025-12-31"),
        ("2026-01-02", "2026-01-01"),
    ]
    assert not store.begin_day(datetime(2026, 1, 3, tzinfo=UTC), driven=True)


def test_a_wall_clock_cannot_be_driven(store: Store, mongo: Mongo) -> None:
    with pytest.raises(NotAllowed):
        store.advance_clock(STAMP.now, STAMP.real, driven=False)
    assert published(mongo) == []
