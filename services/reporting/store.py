"""The read models: what reporting's pages and RPCs show. The only module that names its collections.

``figures``       one per campaign, level and code: scoring's figure in its highest version
``explanations``  one per window: how its figure came about, in the same version
``windows``       the register, in the highest version of each window
``campaigns``     the published versions of campaigns
``changes``       per campaign the latest changes, latest first, bounded
``stamps``        one document: a number that grows with each change that a page could show
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, ReplaceOne, ReturnDocument
from pymongo.client_session import ClientSession

from services.chassis.clock import SHANGHAI
from services.chassis.mongo import Mongo
from services.reporting.domain import changes
from services.reporting.domain.merge import Score, coalesce, newer, score_key
from services.reporting.domain.wording import campaign_in_force

_STAMP = "city"
WINDOW_FIELDS = (
    "code",
    "name",
    "unit",
    "unit_name",
    "industry",
    "industry_name",
    "district",
    "address",
    "opened_on",
    "closed_on",
)


@dataclass(frozen=True)
class Stamp:
    """``value`` grows with each change, the last at ``changed_at`` (real time); ``day``: the campaign's."""

    value: int
    changed_at: datetime | None
    day: str | None

    def age(self, now: datetime) -> float | None:
        """Seconds since the last change; None before the first."""
        return (now - self.changed_at).total_seconds() if self.changed_at else None


class ReadModels:
    """Writes are version-guarded: the same events give the same read models in any order, repeated or not."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._figures = mongo.db["figures"]
        self._explanations = mongo.db["explanations"]
        self._windows = mongo.db["windows"]
        self._campaigns = mongo.db["campaigns"]
        self._changes = mongo.db["changes"]
        self._stamps = mongo.db["stamps"]

    def ensure_indexes(self) -> None:
        level = [("campaign", ASCENDING), ("level", ASCENDING), ("code", ASCENDING)]
        self._mongo.collection("figures", [IndexModel(level, unique=True)])
        self._mongo.collection("explanations", [])
        self._mongo.collection("windows", [IndexModel([("industry", ASCENDING), ("_id", ASCENDING)])])
        self._mongo.collection("campaigns", [])
        self._mongo.collection("changes", [])
        self._mongo.collection("stamps", [])
        self._stamps.update_one(
            {"_id": _STAMP}, {"$setOnInsert": {"value": 0, "changed_at": None, "day": None}}, upsert=True
        )

    # Writing. All writers touch the stamp in their transaction: no two decide on what the other is changing.

    def apply_scores(self, scores: Iterable[Score], now: datetime) -> int:
        """Keep each figure's highest version; returns how many became newer (0: nothing was written)."""
        latest = coalesce(scores)

        def work(session: ClientSession) -> int:
            held = self._held(latest, session)
            applied = newer(latest, {key: document["version"] for key, document in held.items()})
            if applied:
                stamp = self._touch(session, now)
                self._figures.bulk_write(
                    [_figure(score, stamp) for score in applied], ordered=False, session=session
                )
                explained = [_explanation(score) for score in applied if score.level == "window"]
                if explained:
                    self._explanations.bulk_write(explained, ordered=False, session=session)
                self._tell(applied, held, stamp, session)
            return len(applied)

        return self._mongo.transaction(work) if latest else 0

    def register_windows(self, windows: Iterable[dict[str, Any]], now: datetime) -> int:
        """Keep the highest version of each window; returns how many became newer."""
        latest: dict[str, dict[str, Any]] = {}
        for window in windows:
            if window["version"] > latest.get(window["code"], {"version": 0})["version"]:
                latest[window["code"]] = window

        def work(session: ClientSession) -> int:
            found = self._windows.find({"_id": {"$in": list(latest)}}, {"version": 1}, session=session)
            held = {document["_id"]: document["version"] for document in found}
            applied = [window for code, window in latest.items() if window["version"] > held.get(code, 0)]
            if applied:
                self._touch(session, now)
                self._windows.bulk_write(
                    [_window(window) for window in applied], ordered=False, session=session
                )
            return len(applied)

        return self._mongo.transaction(work) if latest else 0

    def publish_campaign(self, campaign: dict[str, Any], now: datetime) -> bool:
        """Keep this version of a campaign, unless it is kept already."""
        key = f"{campaign['id']}/{campaign['version']}"

        def work(session: ClientSession) -> bool:
            if self._campaigns.find_one({"_id": key}, {"_id": 1}, session=session):
                return False
            self._touch(session, now)
            self._campaigns.insert_one({"_id": key, **campaign}, session=session)
            return True

        return self._mongo.transaction(work)

    def look(self, clock: datetime | None, now: datetime) -> Stamp:
        """The stamp, after noting the day of the campaign clock (None: unknown) if it is a later one."""
        stamp = self.stamp()
        day = clock.astimezone(SHANGHAI).date().isoformat() if clock else None
        if day is None or (stamp.day is not None and day <= stamp.day):
            return stamp
        self._stamps.update_one(
            {"_id": _STAMP, "$or": [{"day": None}, {"day": {"$lt": day}}]},
            {"$set": {"day": day, "changed_at": now}, "$inc": {"value": 1}},
        )
        return self.stamp()

    def _held(self, scores: list[Score], session: ClientSession) -> dict[str, dict[str, Any]]:
        fields = {"version": 1, "level": 1, "watched": 1}
        found = self._figures.find({"_id": {"$in": [score.key for score in scores]}}, fields, session=session)
        return {document["_id"]: document for document in found}

    def _touch(self, session: ClientSession, now: datetime) -> int:
        after = self._stamps.find_one_and_update(
            {"_id": _STAMP},
            {"$inc": {"value": 1}, "$set": {"changed_at": now}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if after is None:  # an upsert gives a document
            raise LookupError("stamps: no document after an upsert")
        return int(after["value"])

    def _tell(
        self, applied: list[Score], held: dict[str, dict[str, Any]], stamp: int, session: ClientSession
    ) -> None:
        told: dict[str, list[dict[str, Any]]] = {}
        for score in applied:
            before = held.get(score.key, {}).get("watched")
            shifts = changes.shifts(before, changes.watched(score.level, score.figure))
            if shifts:
                told.setdefault(score.campaign, []).insert(
                    0,
                    {
                        "at": score.at,
                        "level": score.level,
                        "code": score.code,
                        "version": score.version,
                        "stamp": stamp,
                        "shifts": shifts,
                    },
                )
        for campaign, latest in told.items():
            push = {"$each": latest, "$position": 0, "$slice": changes.KEPT}
            self._changes.update_one(
                {"_id": campaign},
                {"$push": {"latest": push}, "$set": {"stamp": stamp}},
                upsert=True,
                session=session,
            )

    # Reading. Each answer is one snapshot: its figures belong together.

    def stamp(self) -> Stamp:
        found = self._stamps.find_one({"_id": _STAMP}) or {}
        return Stamp(found.get("value", 0), found.get("changed_at"), found.get("day"))

    def city_figure(self) -> dict[str, Any] | None:
        """The figure of the city in the campaign shown."""
        campaign = self._campaign(self.stamp().day, None)
        if campaign is None:
            return None
        figure: dict[str, Any] | None = self._figure_of(campaign["id"], "city", None, None).get("figure")
        return figure

    def city(self) -> dict[str, Any] | None:
        """Campaign, figure, industries and changes of the city; None before a campaign was published."""
        with self._mongo.snapshot() as session:
            head = self._head(session)
            if head is None:
                return None
            campaign, day, stamp = head
            windows = list(
                self._windows.find({}, {"name": 1, "industry": 1, "industry_name": 1}, session=session)
            )
            names = {f"window/{window['_id']}": window["name"] for window in windows}
            industries = {window["industry"]: window["industry_name"] for window in windows}
            names.update({f"industry/{code}": name for code, name in industries.items()})
            figures = self._figures.find({"campaign": campaign["id"], "level": "industry"}, session=session)
            scored = {document["code"]: document for document in figures}
            city = self._figure_of(campaign["id"], "city", None, session)
            changed = self._changes.find_one({"_id": campaign["id"]}, session=session) or {"latest": []}
            return {
                "campaign": campaign,
                "day": day,
                "stamp": stamp.value,
                "changed_at": stamp.changed_at,
                "city": city.get("figure"),
                "version": city.get("version", 0),
                "industries": [
                    {
                        "code": code,
                        "name": industries.get(code, code),
                        "version": scored.get(code, {}).get("version", 0),
                        "figure": scored.get(code, {}).get("figure"),
                    }
                    for code in sorted({*industries, *scored})
                ],
                "changes": [_named(change, names) for change in changed["latest"]],
            }

    def industry(self, code: str) -> dict[str, Any] | None:
        """An industry and its windows; None where neither register nor scoring knows it."""
        with self._mongo.snapshot() as session:
            head = self._head(session)
            if head is None:
                return None
            campaign, day, stamp = head
            windows = list(self._windows.find({"industry": code}, session=session).sort("_id", ASCENDING))
            industry = self._figure_of(campaign["id"], "industry", code, session)
            if not windows and not industry:
                return None
            keys = [score_key(campaign["id"], "window", window["_id"]) for window in windows]
            scored = {
                found["code"]: found for found in self._figures.find({"_id": {"$in": keys}}, session=session)
            }
            return {
                "campaign": campaign,
                "day": day,
                "stamp": stamp.value,
                "changed_at": stamp.changed_at,
                "code": code,
                "name": windows[0]["industry_name"] if windows else code,
                "figure": industry.get("figure"),
                "version": industry.get("version", 0),
                "windows": [
                    {
                        **_register(window),
                        "version": scored.get(window["_id"], {}).get("version", 0),
                        "figure": scored.get(window["_id"], {}).get("figure"),
                    }
                    for window in windows
                ],
            }

    def window(self, code: str) -> dict[str, Any] | None:
        """A window as registered with its figure and explanation; None where it is not registered."""
        with self._mongo.snapshot() as session:
            head = self._head(session)
            window = self._windows.find_one({"_id": code}, session=session)
            if head is None or window is None:
                return None
            campaign, day, stamp = head
            found = self._figure_of(campaign["id"], "window", code, session)
            why = (
                self._explanations.find_one(
                    {"_id": score_key(campaign["id"], "window", code)}, session=session
                )
                or {}
            )
            return {
                "campaign": campaign,
                "day": day,
                "stamp": stamp.value,
                "changed_at": stamp.changed_at,
                "window": _register(window),
                "registered": window["version"],
                "version": found.get("version", 0),
                "at": found.get("at"),
                "figure": found.get("figure"),
                "explanation": why.get("explanation"),
            }

    def is_ready(self) -> bool:
        """Whether a campaign was published."""
        return self._campaigns.find_one({}, {"_id": 1}) is not None

    def _head(self, session: ClientSession) -> tuple[dict[str, Any], str | None, Stamp] | None:
        found = self._stamps.find_one({"_id": _STAMP}, session=session) or {}
        stamp = Stamp(found.get("value", 0), found.get("changed_at"), found.get("day"))
        campaign = self._campaign(stamp.day, session)
        return (campaign, stamp.day, stamp) if campaign else None

    def _campaign(self, day: str | None, session: ClientSession | None) -> dict[str, Any] | None:
        heads = self._campaigns.find(
            {}, {"id": 1, "version": 1, "opens": 1, "effective_on": 1}, session=session
        )
        chosen = campaign_in_force(heads, day)
        return self._campaigns.find_one({"_id": chosen["_id"]}, session=session) if chosen else None

    def _figure_of(
        self, campaign: str, level: str, code: str | None, session: ClientSession | None
    ) -> dict[str, Any]:
        query = {"campaign": campaign, "level": level, **({} if code is None else {"code": code})}
        return self._figures.find_one(query, session=session) or {}


def _figure(score: Score, stamp: int) -> ReplaceOne[dict[str, Any]]:
    document = {name: value for name, value in asdict(score).items() if name != "explanation"}
    document |= {"stamp": stamp, "watched": changes.watched(score.level, score.figure)}
    return ReplaceOne({"_id": score.key}, document, upsert=True)


def _explanation(score: Score) -> ReplaceOne[dict[str, Any]]:
    document = {
        "campaign": score.campaign,
        "code": score.code,
        "version": score.version,
        "explanation": score.explanation,
    }
    return ReplaceOne({"_id": score.key}, document, upsert=True)


def _window(window: dict[str, Any]) -> ReplaceOne[dict[str, Any]]:
    kept = {name: window.get(name) for name in WINDOW_FIELDS if name != "code"}
    return ReplaceOne({"_id": window["code"]}, {**kept, "version": window["version"]}, upsert=True)


def _register(window: dict[str, Any]) -> dict[str, Any]:
    return {"code": window["_id"], **{name: window[name] for name in WINDOW_FIELDS if name != "code"}}


def _named(change: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    name = (
        "全市"
        if change["level"] == "city"
        else names.get(f"{change['level']}/{change['code']}", change["code"])
    )
    return {**change, "name": name}
