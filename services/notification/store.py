"""What notification keeps. The only module that names its collections:

- ``messages``: each mail owed, with what it says, where it stands and how often it was tried
- ``windows``: names and contacts, in the registry's highest version
- ``campaigns``: names and the office's address, the latest version of each
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from services.chassis.clock import real_now
from services.chassis.mongo import Mongo
from services.contracts.base import instant_text
from services.contracts.envelope import Event, deterministic_id
from services.contracts.errors import InvalidPayload, NotFound
from services.notification.domain.delivery import LEASE, RETRY, SENT, Outcome, pause_after
from services.notification.domain.rules import OFFICE, notice_of

Document = dict[str, Any]
NO_ADDRESS = "收件地址尚未登记 / no address is registered yet"


class Store:
    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._db = mongo.db

    def ensure_indexes(self) -> None:
        self._mongo.collection("windows", [])
        self._mongo.collection("campaigns", [])
        self._mongo.collection(
            "messages",
            [
                IndexModel([("state", ASCENDING), ("next_at", ASCENDING)]),
                IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
                IndexModel([("recipient", ASCENDING)]),
                IndexModel([("event", ASCENDING)]),
            ],
        )

    def keep_reference(self, events: Sequence[Event]) -> None:
        """Names and addresses from the registry and campaigns; an older version changes nothing."""
        for event in events:
            for window in event.data.get("windows", ()):
                self._keep("windows", window["code"], window["version"], window)
            if campaign := event.data.get("campaign"):
                self._keep(
                    "campaigns",
                    campaign["id"],
                    campaign["version"],
                    {"name": campaign["name"], OFFICE: campaign.get("mails", {}).get("office")},
                )

    def _keep(self, collection: str, key: str, version: int, document: Document) -> None:
        try:
            self._db[collection].update_one(
                {"_id": key, "version": {"$lt": version}},
                {"$set": {**document, "version": version}},
                upsert=True,
            )
        except DuplicateKeyError:
            return  # the version kept is the same or a higher one

    def owe(self, events: Iterable[Event]) -> int:
        """Store the mails these events make, each once however often its event comes. Returns how many are new."""
        now, writes = real_now(), []
        for event in events:
            notice = notice_of(event.type, event.data)
            if notice is None:
                continue
            message = deterministic_id(event.id, *notice.key)
            writes.append(
                UpdateOne(
                    {"_id": message},
                    {
                        "$setOnInsert": {
                            "template": notice.template,
                            "audience": notice.audience,
                            "context": notice.context,
                            "event": event.id,
                            "event_type": event.type,
                            "traceparent": event.traceparent,
                            "state": "due",
                            "recipient": None,
                            "subject": None,
                            "tries": 0,
                            "ambiguous": 0,
                            "next_at": now,
                            "created_at": now,
                            "sent_at": None,
                            "last_words": "",
                        }
                    },
                    upsert=True,
                )
            )
        return self._db["messages"].bulk_write(writes, ordered=False).upserted_count if writes else 0

    def claim(self, owner: str) -> Document | None:
        """Take the oldest mail that is due, for a lease of real time; None when nothing is.

        One found ``sending`` was claimed by a process that died: whether it went out is not known, so it is counted
        and sent again under the same Message-ID.
        """
        now = real_now()
        taken: Document | None = self._db["messages"].find_one_and_update(
            {"state": {"$in": ["due", "sending"]}, "next_at": {"$lte": now}},
            [
                {
                    "$set": {
                        "ambiguous": {
                            "$add": ["$ambiguous", {"$cond": [{"$eq": ["$state", "sending"]}, 1, 0]}]
                        },
                        "state": "sending",
                        "owner": owner,
                        "next_at": now + LEASE,
                        "tries": {"$add": ["$tries", 1]},
                    }
                }
            ],
            sort=[("next_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return taken

    def address_of(self, message: Document) -> tuple[str | None, Document]:
        """The current address of the audience, and the names the mail shows."""
        campaign = self._db["campaigns"].find_one({"_id": message["context"]["campaign"]}) or {}
        names = {
            "campaign_name": campaign.get("name") or message["context"]["campaign"],
            "office": campaign.get(OFFICE) or "",
            "window_name": "",
        }
        if message["audience"] == OFFICE:
            return campaign.get(OFFICE), names
        code = message["audience"].removeprefix("window:")
        window = self._db["windows"].find_one({"_id": code}) or {}
        return window.get("contact_email") or None, {**names, "window_name": window.get("name") or code}

    def settle(self, message: Document, outcome: Outcome, *, recipient: str | None, subject: str) -> str:
        """Write down what the try came to; returns the state the mail now has."""
        now = real_now()
        change: Document = {
            "recipient": recipient,
            "subject": subject,
            "last_words": outcome.words[:500],
            "owner": None,
        }
        pause = pause_after(message["tries"])
        if outcome.kind == SENT:
            change |= {"state": "sent", "sent_at": now}
        elif outcome.kind == RETRY and pause is not None:
            change |= {"state": "due", "next_at": now + pause}
        else:
            change |= {"state": "failed"}
        # who lost its lease meanwhile must not overwrite what the next one found
        self._db["messages"].update_one(
            {"_id": message["_id"], "state": "sending", "owner": message["owner"], "tries": message["tries"]},
            {"$set": change, "$inc": {"ambiguous": int(outcome.ambiguous)}},
        )
        return str(change["state"])

    def oldest_due(self) -> datetime | None:
        found = self._db["messages"].find_one(
            {"state": {"$in": ["due", "sending"]}}, {"created_at": 1}, sort=[("created_at", 1)]
        )
        return found["created_at"] if found else None

    def messages(
        self, state: str | None, recipient: str | None, event: str | None, limit: int, after: str | None
    ) -> Document:
        """Newest first; counts are over all messages. Raises InvalidPayload for an ``after`` that is no message."""
        wanted: Document = {
            key: value
            for key, value in (("state", state), ("recipient", recipient), ("event", event))
            if value
        }
        if after:
            last = self._db["messages"].find_one({"_id": after}, {"created_at": 1})
            if last is None:
                raise InvalidPayload("after: 没有这封邮件 / no such message", {"after": [after]})
            wanted["$or"] = [
                {"created_at": {"$lt": last["created_at"]}},
                {"created_at": last["created_at"], "_id": {"$lt": after}},
            ]
        found = list(
            self._db["messages"].find(wanted).sort([("created_at", -1), ("_id", -1)]).limit(limit + 1)
        )
        counts = {
            row["_id"]: row["n"]
            for row in self._db["messages"].aggregate([{"$group": {"_id": "$state", "n": {"$sum": 1}}}])
        }
        shown = found[:limit]
        return {
            "messages": [_plain(doc) for doc in shown],
            "counts": counts,
            "next": shown[-1]["_id"] if len(found) > limit else None,
        }

    def resend(self, message: str) -> Document:
        """A mail that was sent or given up is due again, under its Message-ID. Raises NotFound."""
        changed = self._db["messages"].update_one(
            {"_id": message, "state": {"$in": ["sent", "failed"]}},
            {"$set": {"state": "due", "next_at": real_now(), "tries": 0}},
        )
        found = self._db["messages"].find_one({"_id": message}, {"state": 1})
        if found is None:
            raise NotFound(f"没有这封邮件 / no such message: {message}")
        return {"message": message, "state": "due" if changed.modified_count else found["state"]}


def _plain(doc: Document) -> Document:
    shown = (
        "template",
        "audience",
        "recipient",
        "subject",
        "state",
        "event",
        "event_type",
        "tries",
        "ambiguous",
        "last_words",
        "traceparent",
    )
    return {
        "id": doc["_id"],
        **{key: doc[key] for key in shown},
        "created_at": instant_text(doc["created_at"]),
        "sent_at": instant_text(doc["sent_at"]) if doc["sent_at"] else None,
        "next_at": instant_text(doc["next_at"]) if doc["state"] in ("due", "sending") else None,
    }
