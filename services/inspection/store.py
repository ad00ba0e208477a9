"""What inspection keeps: campaigns, the registry, visits, ratings and the campaign clock.

Every order is one transaction: what it changes and the events that say so. A repeated order finds what it
stored the first time and gives the same answer. Collections:

- ``campaigns``: one document per published version, never changed
- ``registry``: one document; its ``version`` grows with each import that changes something
- ``industries``, ``units``, ``windows``, ``supervisors``: by code
- ``visits``: by id; ``versions`` keeps each version with who and when, the last is in force
- ``ratings``: by id; ``rating_batches``: how many events each batch has led to
- ``clock``: the chassis's own document of the campaign clock, which inspection alone moves
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import orjson
from marshmallow import ValidationError
from pymongo import ASCENDING, IndexModel, ReplaceOne
from pymongo.client_session import ClientSession

from services.chassis.mongo import Document, Mongo
from services.contracts import inspection
from services.contracts.base import EventContract, instant_text
from services.contracts.envelope import Event, new_event
from services.contracts.errors import Conflict, InvalidPayload, NotAllowed, NotFound, flatten
from services.inspection.domain import campaigns, clock, ratings, visits, windows
from services.inspection.domain.campaigns import Campaign
from services.inspection.domain.clock import Stamp
from services.inspection.domain.findings import findings_of
from services.inspection.domain.registry import Registry
from services.inspection.domain.windows import Window, window_facts

WINDOWS_PER_EVENT = 500
_RATING = inspection.RatingCall()
_BY_DAY = [IndexModel([("day", ASCENDING), ("_id", ASCENDING), ("version", ASCENDING)])]
_WITHOUT_INDEX = ("campaigns", "registry", "industries", "units", "windows", "supervisors", "rating_batches")


@dataclass(frozen=True)
class Outcome:
    """``answer``: what the caller gets. ``new``: how many things this call stored; 0 for a repeated one."""

    answer: dict[str, Any]
    new: int


@dataclass(frozen=True)
class RegistryView:
    """The registry at one version, as far as visits and ratings ask."""

    version: int
    windows: Mapping[str, Window]
    supervisors: frozenset[str]


def body_hash(body: Any) -> str:
    """The same body, whatever the order of its keys, gives the same hash."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Store:
    """Inspection's database. Raises the contract's domain errors; nothing is stored when one is raised."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._db = mongo.db
        self._campaigns: dict[tuple[str, int], Campaign] = {}
        self._registry = RegistryView(0, {}, frozenset())

    def ensure_indexes(self) -> None:
        """Collections and indexes; harmless when repeated."""
        for name in _WITHOUT_INDEX:
            self._mongo.collection(name, [])
        self._mongo.collection("visits", _BY_DAY)
        self._mongo.collection("ratings", _BY_DAY)

    # campaigns

    def publish_campaign(self, document: Document, stamp: Stamp, driven: bool) -> Outcome:
        """Keep a valid document as the next version of its campaign.

        The first campaign of all sets a driven clock to its opening.

        Raises Conflict: the version exists with another body, or is not the next one; InvalidPayload: it
        would take effect in the past.
        """
        name, version, digest = document["id"], document["version"], body_hash(document)
        answer = {"campaign": name, "version": version}

        def work(session: ClientSession) -> Outcome:
            known = list(
                self._db["campaigns"].find({"campaign": name}, {"version": 1, "hash": 1}, session=session)
            )
            same = next((entry for entry in known if entry["version"] == version), None)
            if same:
                _same_body(same["hash"], digest, "campaign", f"{name} {version}")
                return Outcome(answer, 0)
            problem = campaigns.version_problem(
                max((entry["version"] for entry in known), default=0), version
            )
            if problem:
                raise Conflict(
                    f"活动 {name} 的版本不接续 / not the next version of the campaign.",
                    {"campaign.version": [problem]},
                )
            problem = campaigns.effective_problem(document, clock.day_of(stamp.now))
            if problem:
                raise InvalidPayload(
                    "活动版本的生效日无效 / the effective day is refused.",
                    {"campaign.effective_on": [problem]},
                )
            self._db["campaigns"].insert_one(
                {
                    "_id": f"{name}:{version}",
                    "campaign": name,
                    "version": version,
                    "hash": digest,
                    "document": document,
                    **_written(stamp),
                },
                session=session,
            )
            events = [
                _event(
                    inspection.campaign_published, f"campaign/{name}", version, stamp, {"campaign": document}
                )
            ]
            if driven and self._clock(session) is None:
                opens = clock.start_of(date.fromisoformat(document["opens"]))
                events.append(self._set_clock(session, opens, stamp.real))
            self._mongo.publish(session, events)
            return Outcome(answer, 1)

        return self._mongo.transaction(work)

    def _campaign(self, name: str, version: int, session: ClientSession) -> Campaign | None:
        """A published version; published versions never change, so each is read once per process."""
        found = self._campaigns.get((name, version))
        if found is None:
            entry = self._db["campaigns"].find_one({"_id": f"{name}:{version}"}, session=session)
            if entry is None:
                return None
            found = self._campaigns[name, version] = campaigns.campaign_of(entry["document"])
        return found

    def _versions(self, name: str, session: ClientSession) -> list[int]:
        found = self._db["campaigns"].find({"campaign": name}, {"version": 1}, session=session)
        return sorted(entry["version"] for entry in found)

    def _published(self, session: ClientSession) -> list[Campaign]:
        """Every campaign in its latest version."""
        keys = self._db["campaigns"].find({}, {"campaign": 1, "version": 1}, session=session)
        found = (self._campaign(key["campaign"], key["version"], session) for key in list(keys))
        return campaigns.latest(campaign for campaign in found if campaign)

    def _elsewhere(
        self, campaign: Campaign, items: Iterable[str], session: ClientSession
    ) -> dict[str, list[int]]:
        """For items the campaign version does not have: the versions of the campaign that do."""
        strange = {item for item in items if item not in campaign.items}
        if not strange:
            return {}
        others = [
            self._campaign(campaign.id, version, session) for version in self._versions(campaign.id, session)
        ]
        return {
            item: [other.version for other in others if other and item in other.items] for item in strange
        }

    # the registry

    def import_registry(self, registry: Registry, stamp: Stamp) -> Outcome:
        """Take over a valid registry; what it does not name stays. ``new``: windows registered or changed.

        Raises InvalidPayload: it would move the closing day of a closed window.
        """
        today = clock.day_of(stamp.now)

        def work(session: ClientSession) -> Outcome:
            fresh = window_facts(registry)
            stored = {
                entry["code"]: entry
                for entry in self._db["windows"].find(
                    {"_id": {"$in": [fact["code"] for fact in fresh]}}, session=session
                )
            }
            moved = {
                f"windows.{fact['code']}.closed_on": [problem]
                for fact in fresh
                if (problem := windows.reopening_problem(stored.get(fact["code"]), fact, today))
            }
            if moved:
                raise InvalidPayload(
                    "已关闭的窗口不可改期，整份文件未导入 / "
                    "closed windows stay closed; nothing was imported.",
                    moved,
                )
            facts = [windows.merged(stored.get(fact["code"]), fact, today) for fact in fresh]
            changed = [
                fact for fact in facts if fact["version"] != stored.get(fact["code"], {}).get("version")
            ]
            others = sum(
                self._replace_changed(name, entries, session)
                for name, entries in (
                    ("industries", registry.industries),
                    ("units", registry.units),
                    ("supervisors", registry.supervisors),
                )
            )
            if changed:
                self._db["windows"].bulk_write(
                    [ReplaceOne({"_id": fact["code"]}, fact, upsert=True) for fact in changed],
                    session=session,
                )
            if changed or others:
                self._announce_windows(changed, stamp, session)
            return Outcome(
                {
                    "imported": True,
                    "industries": len(registry.industries),
                    "units": len(registry.units),
                    "windows": len(fresh),
                    "supervisors": len(registry.supervisors),
                    "changed_windows": len(changed),
                },
                len(changed),
            )

        return self._mongo.transaction(work)

    def _replace_changed(
        self, name: str, entries: Iterable[Mapping[str, str]], session: ClientSession
    ) -> int:
        """Store those entries that are new or differ; how many."""
        fresh = {entry["code"]: dict(entry) for entry in entries}
        stored = {
            entry.pop("_id"): entry
            for entry in self._db[name].find({"_id": {"$in": list(fresh)}}, session=session)
        }
        writes = [
            ReplaceOne({"_id": code}, entry, upsert=True)
            for code, entry in fresh.items()
            if stored.get(code) != entry
        ]
        if writes:
            self._db[name].bulk_write(writes, session=session)
        return len(writes)

    def _announce_windows(self, changed: list[Document], stamp: Stamp, session: ClientSession) -> None:
        chunks = [
            changed[start : start + WINDOWS_PER_EVENT] for start in range(0, len(changed), WINDOWS_PER_EVENT)
        ]
        state = self._db["registry"].find_one_and_update(
            {"_id": "registry"},
            {"$inc": {"version": 1, "events": len(chunks)}, "$set": _written(stamp)},
            upsert=True,
            session=session,
        ) or {"events": 0}
        self._mongo.publish(
            session,
            [
                _event(inspection.windows_registered, "registry/windows", version, stamp, {"windows": chunk})
                for version, chunk in enumerate(chunks, state["events"] + 1)
            ],
        )

    def _current_registry(self, session: ClientSession) -> RegistryView:
        """The registry as this transaction sees it; read whole only after an import changed it."""
        state = self._db["registry"].find_one({"_id": "registry"}, {"version": 1}, session=session) or {
            "version": 0
        }
        view = self._registry
        if state["version"] != view.version:
            found = self._db["windows"].find({}, {"opened_on": 1, "closed_on": 1}, session=session)
            view = self._registry = RegistryView(
                state["version"],
                {entry["_id"]: _window(entry) for entry in found},
                frozenset(
                    entry["_id"] for entry in self._db["supervisors"].find({}, {"_id": 1}, session=session)
                ),
            )
        return view

    # visits

    def record_visit(self, body: Document, stamp: Stamp) -> Outcome:
        """Keep a visit as version 1. Raises NotFound, InvalidPayload (each place named) or Conflict."""
        digest = body_hash(body)

        def work(session: ClientSession) -> Outcome:
            stored = self._visit(body["visit_id"], session)
            if stored:
                first = stored["versions"][0]
                _same_body(first["hash"], digest, "visit_id", body["visit_id"])
                return Outcome(_visit_answer(first), 0)
            entry = self._judged(body, 1, "recorded", digest, stamp, session)
            self._db["visits"].insert_one(
                {"_id": body["visit_id"], "versions": [entry], **_in_force(entry)}, session=session
            )
            self._mongo.publish(session, [_visit_event(inspection.visit_recorded, entry, stamp)])
            return Outcome(_visit_answer(entry), 1)

        return self._mongo.transaction(work)

    def amend_visit(self, body: Document, stamp: Stamp) -> Outcome:
        """Keep the next version of a visit. Raises NotFound, InvalidPayload, Conflict for any other."""
        digest = body_hash(body)

        def work(session: ClientSession) -> Outcome:
            stored = self._known_visit(body["visit_id"], session)
            if body["version"] <= stored["version"]:
                entry = stored["versions"][body["version"] - 1]
                _same_body(entry["hash"], digest, "version", f"{body['visit_id']} {body['version']}")
                return Outcome(_visit_answer(entry), 0)
            if stored["voided"]:
                raise Conflict(
                    "查访已作废，不可再修改 / the visit is void, for ever.", {"visit_id": [body["visit_id"]]}
                )
            if body["version"] != stored["version"] + 1:
                raise Conflict(
                    "版本不接续 / not the next version of the visit.",
                    {"version": [f"须为 / must be {stored['version'] + 1}, not {body['version']}"]},
                )
            fixed = visits.fixed_problems(body, stored["versions"][-1]["fact"])
            if fixed:
                raise InvalidPayload(
                    "修改不得改变窗口或活动 / an amendment keeps the window and the campaign.", fixed
                )
            entry = self._judged(body, body["version"], "amended", digest, stamp, session)
            self._append(entry, session)
            self._mongo.publish(session, [_visit_event(inspection.visit_amended, entry, stamp)])
            return Outcome(_visit_answer(entry), 1)

        return self._mongo.transaction(work)

    def void_visit(self, visit_id: str, reason: str, stamp: Stamp) -> Outcome:
        """The visit no longer counts, for ever; voiding it again changes nothing. Raises NotFound."""

        def work(session: ClientSession) -> Outcome:
            stored = self._known_visit(visit_id, session)
            last = stored["versions"][-1]
            if stored["voided"]:
                return Outcome(_visit_answer(last), 0)
            fact = visits.voided(last["fact"], reason, instant_text(stamp.now))
            entry = _version(fact, "voided", "", stamp)
            self._append(entry, session)
            self._mongo.publish(session, [_visit_event(inspection.visit_voided, entry, stamp)])
            return Outcome(_visit_answer(entry), 1)

        return self._mongo.transaction(work)

    def get_visit(self, visit_id: str) -> Document:
        """The visit in its current version, with its history. Raises NotFound."""
        stored = self._known_visit(visit_id, None)
        last = stored["versions"][-1]
        return {
            **last["fact"],
            "status": last["status"],
            "history": [_history(entry) for entry in stored["versions"]],
        }

    def _visit(self, visit_id: str, session: ClientSession | None) -> Document | None:
        return self._db["visits"].find_one({"_id": visit_id}, session=session)

    def _known_visit(self, visit_id: str, session: ClientSession | None) -> Document:
        stored = self._visit(visit_id, session)
        if stored is None:
            raise NotFound(
                f"没有这次查访 / no such visit: {visit_id}", {"visit_id": [f"unknown: {visit_id}"]}
            )
        return stored

    def _judged(
        self,
        body: Document,
        version: int,
        status: str,
        digest: str,
        stamp: Stamp,
        session: ClientSession,
    ) -> Document:
        """The version of a visit that the body is, if the rules let it pass."""
        registry = self._current_registry(session)
        campaign = self._campaign(body["campaign"], body["campaign_version"], session)
        window = registry.windows.get(body["window"])
        versions = [campaign.version] if campaign else self._versions(body["campaign"], session)
        absent = visits.missing(body, campaign, versions, window, body["supervisor"] in registry.supervisors)
        found: visits.Problems = {}
        if campaign and window:
            elsewhere = self._elsewhere(campaign, (answer["item"] for answer in body["answers"]), session)
            found = visits.problems_of(body, campaign, window, stamp.now, elsewhere)
        if absent:
            raise NotFound("查访所指不存在 / the visit names what does not exist.", {**absent, **found})
        if found or campaign is None:
            raise InvalidPayload(
                "查访不合规则，未记录 / the visit breaks the rules; nothing was stored.", found
            )
        fact = visits.fact_of(body, version, instant_text(stamp.now), findings_of(campaign, body["answers"]))
        return _version(fact, status, digest, stamp)

    def _append(self, entry: Document, session: ClientSession) -> None:
        fact = entry["fact"]
        self._db["visits"].update_one(
            {"_id": fact["visit_id"], "version": fact["version"] - 1},
            {"$push": {"versions": entry}, "$set": _in_force(entry)},
            session=session,
        )

    # ratings

    def record_ratings(self, batch_id: str, given: list[Document], stamp: Stamp) -> Outcome:
        """Judge each rating by itself and keep the acceptable ones, in one write with one event.

        The answer lists ``accepted``, ``duplicates`` and ``rejected`` as ``{index, id, reason?}``.
        """
        shaped = [_shaped(rating) for rating in given]
        ids = {rating["id"] for rating, _ in shaped if rating}

        def work(session: ClientSession) -> Outcome:
            registry, published = self._current_registry(session), self._published(session)
            hashes = {
                entry["_id"]: entry["hash"]
                for entry in self._db["ratings"].find(
                    {"_id": {"$in": list(ids)}}, {"hash": 1}, session=session
                )
            }
            answer: dict[str, list[Document]] = {"accepted": [], "duplicates": [], "rejected": []}
            fresh: list[Document] = []
            for index, (rating, reason) in enumerate(shaped):
                if rating is None:
                    named = given[index].get("id")
                    answer["rejected"].append(
                        {"index": index, "id": named if isinstance(named, str) else None, "reason": reason}
                    )
                    continue
                fact = ratings.fact_of(rating)
                digest, place = body_hash(fact), {"index": index, "id": rating["id"]}
                if rating["id"] in hashes:
                    if hashes[rating["id"]] == digest:
                        answer["duplicates"].append(place)
                    else:
                        answer["rejected"].append({**place, "reason": ratings.CONFLICT})
                    continue
                problem = ratings.problem_of(
                    rating, registry.windows.get(rating["window"]), published, stamp.now
                )
                if problem:
                    answer["rejected"].append({**place, "reason": problem})
                    continue
                hashes[rating["id"]] = digest
                answer["accepted"].append(place)
                fresh.append(_rating_entry(fact, digest, batch_id, stamp))
            if fresh:
                self._keep_ratings(batch_id, fresh, stamp, session)
            return Outcome(answer, len(fresh))

        return self._mongo.transaction(work)

    def _keep_ratings(
        self, batch_id: str, fresh: list[Document], stamp: Stamp, session: ClientSession
    ) -> None:
        self._db["ratings"].insert_many(fresh, ordered=False, session=session)
        before = self._db["rating_batches"].find_one_and_update(
            {"_id": batch_id},
            {"$inc": {"events": 1, "ratings": len(fresh)}, "$set": _written(stamp)},
            upsert=True,
            session=session,
        )
        version = (before or {"events": 0})["events"] + 1
        facts = {"ratings": [_rating_fact(entry) for entry in fresh]}
        self._mongo.publish(
            session, [_event(inspection.ratings_recorded, f"ratings/{batch_id}", version, stamp, facts)]
        )

    def withdraw_rating(self, rating_id: str, reason: str, stamp: Stamp) -> Outcome:
        """The rating no longer counts, for ever; withdrawing it again changes nothing. Raises NotFound."""

        def work(session: ClientSession) -> Outcome:
            stored = self._db["ratings"].find_one({"_id": rating_id}, session=session)
            if stored is None:
                raise NotFound(
                    f"没有这条评价 / no such rating: {rating_id}", {"rating_id": [f"unknown: {rating_id}"]}
                )
            if stored["withdrawn"]:
                return Outcome({"rating_id": rating_id, "version": stored["version"]}, 0)
            fact = ratings.withdrawn(_rating_fact(stored))
            self._db["ratings"].update_one(
                {"_id": rating_id},
                {
                    "$set": {
                        "version": fact["version"],
                        "withdrawn": True,
                        "withdrawal": {"reason": reason, **_written(stamp)},
                    }
                },
                session=session,
            )
            data = {"rating": fact, "reason": reason}
            self._mongo.publish(
                session,
                [_event(inspection.rating_withdrawn, f"rating/{rating_id}", fact["version"], stamp, data)],
            )
            return Outcome({"rating_id": rating_id, "version": fact["version"]}, 1)

        return self._mongo.transaction(work)

    # facts, for those who compare theirs

    def fact_digest(self, since: str | None, until: str | None) -> Document:
        """Count and hash of the facts of each day and kind (contract ``FactDigest``), all at one moment."""
        with self._mongo.snapshot() as session:
            days = [
                entry
                for kind in ("visits", "ratings")
                for entry in self._day_digests(kind, since, until, session)
            ]
        return {"days": sorted(days, key=lambda entry: (entry["day"], entry["kind"]))}

    def _day_digests(
        self,
        kind: str,
        since: str | None,
        until: str | None,
        session: ClientSession,
    ) -> Iterator[dict[str, Any]]:
        """One day is held in memory at a time; the index alone answers."""
        limits = {key: day for key, day in (("$gte", since), ("$lte", until)) if day}
        found = (
            self._db[kind]
            .find(
                {"day": limits} if limits else {},
                {"day": 1, "version": 1},
                session=session,
            )
            .sort([("day", ASCENDING), ("_id", ASCENDING)])
            .batch_size(10_000)
        )
        for day, entries in groupby(found, lambda entry: entry["day"]):
            lines = sorted(f"{entry['_id']}:{entry['version']}\n" for entry in entries)
            digest = hashlib.sha256("".join(lines).encode()).hexdigest()
            yield {"day": day, "kind": kind, "count": len(lines), "sha256": digest}

    # the campaign clock

    def advance_clock(self, to: datetime, real: datetime, driven: bool) -> Outcome:
        """Drive the clock forward; the instant it shows already changes nothing.

        Raises NotAllowed: the clock is the wall clock; Conflict: the instant has passed.
        """
        if not driven:
            raise NotAllowed(
                "活动时钟即真实时间，不可驱动 / "
                "the campaign clock is the wall clock; only a rehearsal drives it."
            )

        def work(session: ClientSession) -> Outcome:
            announced = self._clock(session)
            now = announced or clock.UNSET
            if clock.is_backwards(now, to):
                raise Conflict(
                    "活动时钟不可倒退 / the campaign clock never goes back.",
                    {"to": [f"早于当前时刻 / before the present {instant_text(now)}"]},
                )
            if announced == clock.cut(to):
                return Outcome(clock_answer(to, True), 0)
            self._mongo.publish(session, [self._set_clock(session, clock.cut(to), real)])
            return Outcome(clock_answer(to, True), 1)

        return self._mongo.transaction(work)

    def begin_day(self, real: datetime, driven: bool) -> bool:
        """Announce the Shanghai day of a wall clock, once; whether it was. A driven one is left alone."""

        def begun(session: ClientSession | None) -> bool:
            announced = self._clock(session)
            return announced is not None and clock.day_of(announced) >= clock.day_of(real)

        def work(session: ClientSession) -> bool:
            if begun(session):
                return False
            self._mongo.publish(session, [self._set_clock(session, clock.cut(real), real)])
            return True

        return not driven and not begun(None) and self._mongo.transaction(work)

    def _clock(self, session: ClientSession | None) -> datetime | None:
        """The moment last announced; None before the first."""
        state = self._db["clock"].find_one({"_id": "campaign"}, session=session)
        return clock.UNSET + timedelta(milliseconds=state["version"]) if state else None

    def _set_clock(self, session: ClientSession, now: datetime, real: datetime) -> Event:
        version = clock.milliseconds(now)
        self._db["clock"].update_one(
            {"_id": "campaign"}, {"$max": {"version": version}}, upsert=True, session=session
        )
        data = {name: text for name, text in clock_answer(now, True).items() if name != "driven"}
        return new_event(
            inspection.clock_advanced,
            subject="clock/campaign",
            version=version,
            time=instant_text(real.astimezone(UTC)),
            data=data,
        )


def clock_answer(now: datetime, driven: bool) -> dict[str, Any]:
    """The contract's ``ClockResult`` at ``now``."""
    shown = clock.face(now)
    return {
        "now": instant_text(shown.now),
        "day": shown.day.isoformat(),
        "completed_day": shown.completed_day.isoformat(),
        "driven": driven,
    }


def _written(stamp: Stamp) -> Document:
    """Who wrote, when by the campaign clock, and when in real time."""
    return {"recorded_by": stamp.caller, "recorded_at": instant_text(stamp.now), "real_at": stamp.real}


def _event(contract: EventContract, subject: str, version: int, stamp: Stamp, data: Document) -> Event:
    # An event's time is real time, so that ages and delays mean something while the campaign clock is driven.
    return new_event(contract, subject=subject, version=version, time=instant_text(stamp.real), data=data)


def _same_body(stored: str, digest: str, name: str, what: str) -> None:
    if stored != digest:
        raise Conflict(
            "同一编号已有不同内容 / used before with another body.",
            {name: [f"exists with another body: {what}"]},
        )


def _version(fact: Document, status: str, digest: str, stamp: Stamp) -> Document:
    return {"status": status, "hash": digest, "fact": fact, **_written(stamp)}


def _in_force(entry: Document) -> Document:
    fact = entry["fact"]
    day = clock.day_of(datetime.fromisoformat(fact["occurred_at"])).isoformat()
    return {"version": fact["version"], "voided": fact["voided"], "window": fact["window"], "day": day}


def _visit_event(contract: EventContract, entry: Document, stamp: Stamp) -> Event:
    fact = entry["fact"]
    return _event(contract, f"visit/{fact['visit_id']}", fact["version"], stamp, fact)


def _visit_answer(entry: Document) -> dict[str, Any]:
    fact = entry["fact"]
    return {
        "visit_id": fact["visit_id"],
        "version": fact["version"],
        "status": entry["status"],
        "findings": len(fact["findings"]),
    }


def _history(entry: Document) -> Document:
    fact = entry["fact"]
    return {
        "status": entry["status"],
        "recorded_by": entry["recorded_by"],
        **{
            name: fact[name]
            for name in ("version", "recorded_at", "reason", "occurred_at", "answers", "findings")
        },
    }


def _shaped(rating: Document) -> tuple[Document | None, str]:
    """The rating as the contract loads it, or None and the reasons."""
    try:
        loaded: Document = _RATING.load(rating)
        return loaded, ""
    except ValidationError as error:
        return None, "; ".join(f"{path}: {', '.join(why)}" for path, why in flatten(error.messages).items())


def _rating_entry(fact: Document, digest: str, batch_id: str, stamp: Stamp) -> Document:
    day = clock.day_of(datetime.fromisoformat(fact["occurred_at"])).isoformat()
    rest = {name: value for name, value in fact.items() if name != "id"}
    return {"_id": fact["id"], **rest, "day": day, "hash": digest, "batch": batch_id, **_written(stamp)}


def _rating_fact(entry: Document) -> Document:
    names = ("version", "window", "channel", "level", "occurred_at", "voter", "withdrawn")
    return {"id": entry["_id"], **{name: entry[name] for name in names}}


def _window(entry: Document) -> Window:
    closed = entry.get("closed_on")
    return Window(
        entry["_id"], date.fromisoformat(entry["opened_on"]), date.fromisoformat(closed) if closed else None
    )
