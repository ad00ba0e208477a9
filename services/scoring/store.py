"""What scoring keeps. The only module that names its collections:

- ``campaigns``: one document per published version, never changed
- ``windows``: the registry's windows in their highest version
- ``visits``: each visit's version that holds, in compact form
- ``voices``: the ratings that share one voice (window, channel, day, voter), each in the version that holds
- ``days``: counts of the ratings that count, per window, channel and Shanghai day
- ``reference``: the campaign day as the clock last announced it
- ``scores``: the figure of each window, industry and the city, with what it was computed from

A batch of facts is one transaction: ledger, facts, the touched windows' figures and their events. Two batches that
touch one window conflict on its figure, so the later one sees the earlier one's facts. Figures that hang on the day or
on the campaign's version carry these as ``basis`` and are computed anew when it moves; roll-ups follow their windows
by the same pass, so a burst of facts does not contend on one document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from pymongo import ASCENDING, IndexModel, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession

from services.chassis.clock import real_now
from services.chassis.mongo import Mongo
from services.contracts import scoring
from services.contracts.base import instant_text
from services.contracts.envelope import Event, new_event
from services.contracts.errors import InvalidPayload, NotFound, NotReady
from services.scoring.domain import presentation, ratings, rebuild
from services.scoring.domain.campaign import Campaign, Campaigns
from services.scoring.domain.explanation import explain
from services.scoring.domain.facts import Fact, Rating, Visit, WindowChanged, instant, shanghai_day, supersede
from services.scoring.domain.rollup import WindowSummary, city_state, industry_state, summary
from services.scoring.domain.window import VisitFact, WindowInfo, compact, window_state

Document = dict[str, Any]
CITY, CITY_NAME = "city", "全市"
CHUNK = 200
LEVELS = ("c5", "c4", "c3", "c2", "c1")


@dataclass(frozen=True)
class Reference:
    """What every figure hangs on besides its own facts. ``basis`` names it in one text."""

    campaign: str
    campaigns: Campaigns
    today: date
    completed_day: date
    basis: str


@dataclass(frozen=True)
class Facts:
    """The compact facts of some windows, by window code."""

    visits: dict[str, list[VisitFact]]
    days: dict[str, dict[ratings.DayKey, ratings.LevelCounts]]


@dataclass(frozen=True)
class Figure:
    """A figure to store. ``summary`` and ``explanation`` (computed only where it is announced) are a window's."""

    level: str
    code: str
    document: Document
    industry: str = ""
    summary: Document | None = None
    explanation: Callable[[], Document] | None = None


class Store:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._db = mongo.db
        self._campaigns: dict[tuple[str, int], Campaign] = {}
        self._opens: dict[str, date] = {}

    def ensure_indexes(self) -> None:
        by_window = IndexModel([("window", ASCENDING)])
        self._mongo.collection("campaigns", [])
        self._mongo.collection("reference", [])
        self._mongo.collection("windows", [IndexModel([("industry", ASCENDING)])])
        self._mongo.collection("visits", [by_window])
        self._mongo.collection("voices", [])
        self._mongo.collection("days", [by_window])
        self._mongo.collection(
            "scores",
            [
                IndexModel([("basis", ASCENDING)]),
                IndexModel([("dirty", ASCENDING)]),
                IndexModel([("level", ASCENDING)]),
            ],
        )

    # facts in

    def apply_visits(self, events: Sequence[Event]) -> None:
        """Visits recorded, amended, voided. Raises InvalidPayload when a version names another window."""

        def work(session: ClientSession) -> None:
            fresh = self._mongo.unapplied(session, events)
            given = [{**event.data, "id": event.data["visit_id"]} for event in fresh]
            held = {
                doc["_id"]: doc
                for doc in self._db["visits"].find(
                    {"_id": {"$in": [doc["id"] for doc in given]}}, session=session
                )
            }
            campaigns = self._all_campaigns(session)
            touched: dict[str, Document] = {}
            for document in given:
                current = touched.get(document["id"]) or held.get(document["id"])
                visit = _superseded(
                    Visit.from_document(current) if current else None, Visit.from_document(document)
                )
                fact = compact(visit, campaigns.get(document["campaign"], {}))
                touched[visit.id] = {"_id": visit.id, "campaign": document["campaign"], **fact.to_document()}
            if touched:
                self._db["visits"].bulk_write(
                    [ReplaceOne({"_id": doc["_id"]}, doc, upsert=True) for doc in touched.values()],
                    session=session,
                )
            self._rescore({doc["window"] for doc in touched.values()}, _trace(fresh), session)

        self._mongo.transaction(work)

    def apply_ratings(self, events: Sequence[Event]) -> None:
        """Ratings recorded or withdrawn."""

        def work(session: ClientSession) -> None:
            fresh = self._mongo.unapplied(session, events)
            given = [Rating.from_document(rating) for event in fresh for rating in _ratings_of(event)]
            keys = {_voice_id(rating) for rating in given}
            held = {
                doc["_id"]: [Rating.from_document(entry) for entry in doc["ratings"]]
                for doc in self._db["voices"].find({"_id": {"$in": list(keys)}}, session=session)
            }
            before = [rating for voice in held.values() for rating in voice]
            voices = {key: {rating.id: rating for rating in voice} for key, voice in held.items()}
            for rating in given:
                voice = voices.setdefault(_voice_id(rating), {})
                voice[rating.id] = _superseded(voice.get(rating.id), rating)
            after = [rating for voice in voices.values() for rating in voice.values()]
            if voices:
                self._db["voices"].bulk_write(
                    [
                        ReplaceOne(
                            {"_id": key},
                            {"_id": key, "ratings": [rating.to_document() for rating in voice.values()]},
                            upsert=True,
                        )
                        for key, voice in voices.items()
                    ],
                    ordered=False,
                    session=session,
                )
            self._count(ratings.changes(before, after), session)
            self._rescore({rating.window for rating in given}, _trace(fresh), session)

        self._mongo.transaction(work)

    def _count(
        self, changes: dict[tuple[str, str, date], ratings.LevelCounts], session: ClientSession
    ) -> None:
        writes = [
            UpdateOne(
                {"_id": f"{window}|{channel}|{day.isoformat()}"},
                {
                    "$inc": dict(zip(LEVELS, delta, strict=True)),
                    "$setOnInsert": {"window": window, "channel": channel, "day": day.isoformat()},
                },
                upsert=True,
            )
            for (window, channel, day), delta in changes.items()
        ]
        if writes:
            self._db["days"].bulk_write(writes, ordered=False, session=session)

    def apply_reference(self, events: Sequence[Event]) -> None:
        """Campaign versions and windows of the registry; figures that hang on a campaign follow by ``refresh``."""

        def work(session: ClientSession) -> None:
            fresh = self._mongo.unapplied(session, events)
            windows: dict[str, Document] = {}
            for event in fresh:
                if "campaign" in event.data:
                    document = event.data["campaign"]
                    self._db["campaigns"].update_one(
                        {"_id": f"{document['id']}/{document['version']}"},
                        {"$setOnInsert": {"document": document}},
                        upsert=True,
                        session=session,
                    )
                for window in event.data.get("windows", ()):
                    if window["version"] > windows.get(window["code"], {"version": 0})["version"]:
                        windows[window["code"]] = window
            held = {
                doc["_id"]: doc
                for doc in self._db["windows"].find(
                    {"_id": {"$in": list(windows)}}, {"version": 1, "industry": 1}, session=session
                )
            }
            newer = {
                code: doc
                for code, doc in windows.items()
                if code not in held or doc["version"] > held[code]["version"]
            }
            # a window that moved or an industry renamed moves roll-ups that no figure of a window shows
            moved = {doc["industry"] for doc in newer.values()} | {
                held[code]["industry"] for code in newer if code in held
            }
            self._db["scores"].update_many(
                {"_id": {"$in": [f"industry/{code}" for code in moved]}},
                {"$set": {"basis": ""}},
                session=session,
            )
            for code, document in newer.items():
                self._db["windows"].replace_one(
                    {"_id": code}, {"_id": code, **document}, upsert=True, session=session
                )
                # without a campaign there is no figure yet; the empty basis makes the first refresh compute it
                self._db["scores"].update_one(
                    {"_id": f"window/{code}"},
                    {
                        "$set": {"industry": document["industry"]},
                        "$setOnInsert": {
                            "level": "window",
                            "code": code,
                            "version": 0,
                            "basis": "",
                            "figure": None,
                            "dirty": False,
                        },
                    },
                    upsert=True,
                    session=session,
                )
            self._rescore(newer, _trace(fresh), session)

        self._mongo.transaction(work)

    def advance(self, event: Event) -> None:
        """The campaign day; only a new day moves a figure."""
        self._mongo.transaction(lambda session: self._keep_day(event, session))

    def _keep_day(self, event: Event, session: ClientSession) -> None:
        held = self._db["reference"].find_one({"_id": "clock"}, session=session)
        if held is None or held["version"] < event.version:
            self._db["reference"].replace_one(
                {"_id": "clock"},
                {
                    "_id": "clock",
                    "version": event.version,
                    "day": event.data["day"],
                    "completed_day": event.data["completed_day"],
                },
                upsert=True,
                session=session,
            )

    # figures

    def _reference(self, session: ClientSession | None) -> Reference | None:
        """None until a campaign is known. Before the clock was announced it stands at the campaign's opening."""
        campaigns = self._all_campaigns(session)
        if not campaigns:
            return None
        name = max(campaigns, key=lambda name: (self._opens[name], name))
        held = self._db["reference"].find_one({"_id": "clock"}, session=session)
        opens = self._opens[name]
        today = date.fromisoformat(held["day"]) if held else opens
        completed = date.fromisoformat(held["completed_day"]) if held else opens - timedelta(days=1)
        versions = ",".join(str(version) for version in sorted(campaigns[name]))
        return Reference(name, campaigns[name], today, completed, f"{name}/{versions}@{today}")

    def _all_campaigns(self, session: ClientSession | None) -> dict[str, dict[int, Campaign]]:
        """Campaign id → version → campaign; published versions never change, so each is read once per process."""
        ids = [doc["_id"] for doc in self._db["campaigns"].find({}, {"_id": 1}, session=session)]
        found: dict[str, dict[int, Campaign]] = {}
        for key in ids:
            name, version = key.rsplit("/", 1)
            if (name, int(version)) not in self._campaigns:
                entry = self._db["campaigns"].find_one({"_id": key}, session=session)
                assert entry is not None
                self._campaigns[name, int(version)] = Campaign.from_document(entry["document"])
                self._opens[name] = date.fromisoformat(entry["document"]["opens"])
            found.setdefault(name, {})[int(version)] = self._campaigns[name, int(version)]
        return found

    def _facts(self, reference: Reference, codes: Iterable[str] | None, session: ClientSession) -> Facts:
        only = {} if codes is None else {"window": {"$in": list(codes)}}
        facts = Facts({}, {})
        for doc in self._db["visits"].find({**only, "campaign": reference.campaign}, session=session):
            facts.visits.setdefault(doc["window"], []).append(VisitFact.from_document(doc))
        for doc in self._db["days"].find(only, session=session):
            five, four, three, two, one = (doc[level] for level in LEVELS)
            facts.days.setdefault(doc["window"], {})[doc["channel"], date.fromisoformat(doc["day"])] = (
                five,
                four,
                three,
                two,
                one,
            )
        return facts

    def _windows(self, codes: Iterable[str], session: ClientSession) -> dict[str, WindowInfo]:
        found = self._db["windows"].find({"_id": {"$in": list(codes)}}, session=session)
        return {doc["_id"]: rebuild.window_info(doc) for doc in found}

    def _rescore(self, codes: Iterable[str], traceparent: str, session: ClientSession) -> None:
        """Compute these windows anew from their facts; store and announce what changed."""
        reference = self._reference(session)
        windows = self._windows(codes, session) if reference else {}
        if reference is None or not windows:
            return
        facts = self._facts(reference, windows, session)
        held = self._scores("window", windows, session)
        figures = []
        for code, window in windows.items():
            visits, days = facts.visits.get(code, []), facts.days.get(code, {})
            state = window_state(
                window, visits, days, reference.campaigns, reference.completed_day, reference.today
            )
            figures.append(
                Figure(
                    "window",
                    code,
                    presentation.window_document(state),
                    window.industry,
                    summary(state).to_document(),
                    partial(_explanation, window, visits, days, reference),
                )
            )
        self._keep(figures, held, reference, traceparent, session)

    def _scores(self, level: str, codes: Iterable[str], session: ClientSession) -> dict[str, Document]:
        found = self._db["scores"].find(
            {"_id": {"$in": [f"{level}/{code}" for code in codes]}}, session=session
        )
        return {doc["code"]: doc for doc in found}

    def _keep(
        self,
        figures: Iterable[Figure],
        held: dict[str, Document],
        reference: Reference,
        traceparent: str,
        session: ClientSession,
    ) -> None:
        """Store figures in one write; announce those that are other ones than before."""
        writes: list[UpdateOne] = []
        events: list[Event] = []
        for figure in figures:
            before = held.get(figure.code) or {"figure": None, "version": 0, "dirty": False}
            changed = before["figure"] != figure.document
            # a window is rolled up whenever the exact part its industry needs changed, be it below two decimals
            rolled = figure.level == "window" and (before["dirty"] or before.get("summary") != figure.summary)
            version = before["version"] + changed
            writes.append(
                UpdateOne(
                    {"_id": f"{figure.level}/{figure.code}"},
                    {
                        "$set": {
                            "level": figure.level,
                            "code": figure.code,
                            "version": version,
                            "figure": figure.document,
                            "basis": reference.basis,
                            "dirty": rolled,
                            "industry": figure.industry,
                            "summary": figure.summary,
                        }
                    },
                    upsert=True,
                )
            )
            if changed:
                events += _announcements(figure, version, before["figure"], reference, traceparent)
        if writes:
            self._db["scores"].bulk_write(writes, ordered=False, session=session)
        self._mongo.publish(session, events)

    def refresh(self) -> None:
        """Bring every figure to the current basis, then the roll-ups of what changed."""
        while self._behind() and self._mongo.transaction(self._refresh_windows):
            pass
        dirty = list(
            self._db["scores"]
            .find({"dirty": True}, {"version": 1, "industry": 1, "summary": 1})
            .limit(10_000)
        )
        if dirty or self._behind():
            self._mongo.transaction(
                lambda session: self._roll_up({doc["industry"] for doc in dirty}, session)
            )
        if dirty:
            self._db["scores"].bulk_write(
                [
                    UpdateOne(
                        {"_id": doc["_id"], "version": doc["version"], "summary": doc.get("summary")},
                        {"$set": {"dirty": False}},
                    )
                    for doc in dirty
                ],
                ordered=False,
            )

    def _behind(self) -> bool:
        """Whether any figure, or a first one, is still to be brought to the current basis."""
        reference = self._reference(None)
        scores = self._db["scores"]
        return reference is not None and (
            scores.find_one({"basis": {"$ne": reference.basis}}, {"_id": 1}) is not None
            or scores.find_one({"_id": f"{CITY}/{CITY}"}, {"_id": 1}) is None
        )

    def _refresh_windows(self, session: ClientSession) -> int:
        reference = self._reference(session)
        if reference is None:
            return 0
        behind = [
            doc["code"]
            for doc in self._db["scores"]
            .find({"level": "window", "basis": {"$ne": reference.basis}}, {"code": 1}, session=session)
            .limit(CHUNK)
        ]
        self._rescore(behind, "", session)
        return len(behind)

    def _roll_up(self, industries: set[str], session: ClientSession) -> None:
        """The industries named, those behind the current basis, and the city if any of them or itself is."""
        reference = self._reference(session)
        if reference is None:
            return
        names: dict[str, str] = {
            doc["_id"]: doc["name"]
            for doc in self._db["windows"].aggregate(
                [{"$group": {"_id": "$industry", "name": {"$max": "$industry_name"}}}], session=session
            )
        }
        self._db["scores"].delete_many({"level": "industry", "code": {"$nin": list(names)}}, session=session)
        held = self._scores("industry", names, session)
        due = {
            code
            for code in names
            if code in industries or code not in held or held[code]["basis"] != reference.basis
        }
        city = self._scores(CITY, [CITY], session).get(CITY)
        if not due and city is not None and city["basis"] == reference.basis:
            return
        summaries = [
            WindowSummary.from_document(doc["summary"])
            for doc in self._db["scores"].find(
                {"level": "window", "summary": {"$type": "object"}}, {"summary": 1}, session=session
            )
        ]
        basis = (reference.campaigns, reference.completed_day, reference.today)
        figures = [
            Figure(
                "industry",
                code,
                presentation.rollup_document(
                    industry_state(
                        code, names[code], [window for window in summaries if window.industry == code], *basis
                    )
                ),
            )
            for code in sorted(due)
        ]
        state = city_state(CITY, CITY_NAME, names, summaries, *basis, self._unknown(session))
        figures.append(Figure(CITY, CITY, presentation.rollup_document(state)))
        self._keep(figures, {**held, CITY: city} if city else held, reference, "", session)

    def _unknown(self, session: ClientSession) -> set[str]:
        """Windows that facts name and the registry does not."""
        named = set(self._db["visits"].distinct("window", session=session)) | set(
            self._db["days"].distinct("window", session=session)
        )
        return named - set(self._db["windows"].distinct("_id", session=session))

    # answers

    def score(self, level: str, code: str) -> Document:
        """A stored figure. Raises NotFound."""
        found = self._db["scores"].find_one({"_id": f"{level}/{code}"})
        if found is None or found["figure"] is None:
            raise NotFound(f"还没有这个得分 / no figure yet: {level} {code}".strip())
        return {key: found[key] for key in ("level", "code", "version", "figure")}

    def explain(self, code: str) -> Document:
        """A window's figure down to each answer, computed from its facts at one moment. Raises NotFound, NotReady."""
        with self._mongo.snapshot() as session:
            reference = self._reference(session)
            window = self._windows([code], session).get(code)
            if reference is None:
                raise NotReady("尚未发布活动方案 / no campaign has been published")
            if window is None:
                raise NotFound(f"名录中没有这个窗口 / no such window: {code}")
            facts = self._facts(reference, [code], session)
            visits, days = facts.visits.get(code, []), facts.days.get(code, {})
            state = window_state(
                window, visits, days, reference.campaigns, reference.completed_day, reference.today
            )
            return {
                "code": code,
                "figure": presentation.window_document(state),
                "explanation": _explanation(window, visits, days, reference),
            }

    # verification

    def compare(self) -> Document:
        """The stored figures beside a rebuild from the facts, both at one moment.

        ``pending``: figures a refresh has still to bring up to date. Raises NotReady without a campaign.
        """
        with self._mongo.snapshot() as session:
            reference = self._reference(session)
            if reference is None:
                raise NotReady("尚未发布活动方案 / no campaign has been published")
            windows = {
                doc["_id"]: rebuild.window_info(doc) for doc in self._db["windows"].find({}, session=session)
            }
            names = {
                doc["industry"]: doc["industry_name"]
                for doc in self._db["windows"]
                .find({}, {"industry": 1, "industry_name": 1}, session=session)
                .sort("industry_name", 1)
            }
            visits = [
                Visit.from_document(doc)
                for doc in self._db["visits"].find({"campaign": reference.campaign}, session=session)
            ]
            rated = [
                Rating.from_document(entry)
                for doc in self._db["voices"].find({}, session=session)
                for entry in doc["ratings"]
            ]
            built = rebuild.rebuild(
                [*visits, *rated],
                rebuild.Registry(names, windows, CITY, CITY_NAME),
                reference.campaigns,
                reference.completed_day,
                reference.today,
            )
            expected = {
                f"window/{code}": presentation.window_document(state) for code, state in built.windows.items()
            }
            expected |= {
                f"industry/{code}": presentation.rollup_document(state)
                for code, state in built.industries.items()
            }
            expected[f"{CITY}/{CITY}"] = presentation.rollup_document(built.city)
            stored = {doc["_id"]: doc for doc in self._db["scores"].find({}, session=session)}
        pending = sum(doc["dirty"] or doc["basis"] != reference.basis for doc in stored.values())
        differences = [
            {"figure": key, "stored": (stored.get(key) or {}).get("figure"), "rebuilt": expected.get(key)}
            for key in sorted(expected.keys() | stored.keys())
            if (stored.get(key) or {}).get("figure") != expected.get(key)
        ]
        return {
            "pending": pending,
            "differences": differences,
            "visits": len(visits),
            "ratings": len(rated),
            "windows": len(windows),
        }

    def digest(self) -> list[Document]:
        """Scoring's facts as inspection digests its own: per kind and day a count and a hash over id and version."""
        lines: dict[tuple[str, str], list[str]] = {}
        with self._mongo.snapshot() as session:
            for doc in self._db["visits"].find({}, {"version": 1, "occurred_at": 1}, session=session):
                visit_day = _day_of(doc["occurred_at"])
                lines.setdefault((visit_day, "visits"), []).append(f"{doc['_id']}:{doc['version']}\n")
            for doc in self._db["voices"].find({}, session=session):
                for rating in doc["ratings"]:
                    day = _day_of(rating["occurred_at"])
                    lines.setdefault((day, "ratings"), []).append(f"{rating['id']}:{rating['version']}\n")
        return [
            {
                "day": day,
                "kind": kind,
                "count": len(entries),
                "sha256": hashlib.sha256("".join(sorted(entries)).encode()).hexdigest(),
            }
            for (day, kind), entries in sorted(lines.items())
        ]


def _explanation(
    window: WindowInfo,
    visits: list[VisitFact],
    days: dict[ratings.DayKey, ratings.LevelCounts],
    reference: Reference,
) -> Document:
    return presentation.explanation_document(
        explain(window, visits, days, reference.campaigns, reference.today)
    )


def _announcements(
    figure: Figure, version: int, before: Document | None, reference: Reference, traceparent: str
) -> Iterator[Event]:
    level, document = figure.level, figure.document
    common = {"level": level, "code": figure.code, "version": version, "campaign": reference.campaign}
    announce = partial(
        new_event,
        subject=f"{level}/{figure.code}",
        version=version,
        time=instant_text(real_now()),
        traceparent=traceparent,
    )
    explanation = figure.explanation() if figure.explanation else None
    yield announce(scoring.score_changed, data={**common, "figure": document, "explanation": explanation})
    conforming = document["conformity"]["conforming"]
    was = bool(before and before["conformity"]["conforming"])
    if level == "window" and document["open"] and conforming != was:
        gaps = [
            {"axis": axis["axis"], **gap} for axis in document["conformity"]["axes"] for gap in axis["gaps"]
        ]
        yield announce(scoring.conformity_changed, data={**common, "conforming": conforming, "gaps": gaps})
    satisfaction = document["satisfaction"]
    previous = before["satisfaction"]["verdict"] if before else "insufficient"
    if level == CITY and satisfaction["verdict"] != previous:
        yield announce(
            scoring.verdict_changed,
            data={
                **common,
                "verdict": satisfaction["verdict"],
                "previous": previous,
                "satisfaction": satisfaction,
                "day": satisfaction["verdict_day"],
            },
        )


def _day_of(text: str) -> str:
    return shanghai_day(instant(text)).isoformat()


def _superseded(current: Fact | None, incoming: Fact) -> Fact:
    try:
        return supersede(current, incoming)
    except WindowChanged as error:
        raise InvalidPayload(str(error), {"window": ["an amendment cannot change the window"]}) from error


def _voice_id(rating: Rating) -> str:
    window, channel, day, voter, own = ratings.voice(rating)
    return "|".join((window, channel, day.isoformat(), voter or "", own))


def _ratings_of(event: Event) -> list[Document]:
    return event.data["ratings"] if "ratings" in event.data else [event.data["rating"]]


def _trace(events: Sequence[Event]) -> str:
    return events[-1].traceparent if events else ""
