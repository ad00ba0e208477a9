"""A service for trying the chassis on real processes: it poses as inspection and eats its own events.

``publish_campaign`` stores an order and its event in one transaction; ``on_campaigns`` applies events in batches, each
with an event of its own; ``on_windows`` applies those one by one. What a campaign's ``do`` says decides how its
handling goes: ``fail`` (always), ``fail-once``, ``invalid``, ``exit`` (the process dies), ``hold`` (until released).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import eventlet
from pymongo.client_session import ClientSession

from services.chassis.door import rpc
from services.chassis.events import on_event, on_events
from services.chassis.mongo import Mongo, StoreProvider
from services.chassis.service import Service
from services.contracts import inspection
from services.contracts.envelope import Event, new_event
from services.contracts.errors import InvalidPayload

HOLD = Path(os.environ.get("PROBE_FOLDER", "."))


class Store:
    def __init__(self, mongo: Mongo) -> None:
        self.mongo = mongo

    def ensure_indexes(self) -> None:
        for name in ("orders", "applied", "windows", "tries", "held"):
            self.mongo.collection(name, [])

    def order(self, campaign: dict[str, Any]) -> None:
        def work(session: ClientSession) -> None:
            self.mongo.db["orders"].insert_one({"_id": campaign["id"]}, session=session)
            self.mongo.publish(session, [event_of(campaign)])

        self.mongo.transaction(work)

    def apply(self, events: list[Event]) -> None:
        def work(session: ClientSession) -> None:
            fresh = self.mongo.unapplied(session, events, by="campaigns")
            for event in fresh:
                self.mongo.db["applied"].update_one(
                    {"_id": event.data["campaign"]["id"]},
                    {"$inc": {"times": 1}, "$set": {"batch": len(events), "trace": event.traceparent}},
                    upsert=True, session=session,
                )
            self.mongo.publish(session, [
                new_event(inspection.windows_registered, subject=f"registry/{event.data['campaign']['id']}", version=1,
                          time=event.time, traceparent=event.traceparent, data={"windows": [window(event.data["campaign"]["id"])]})
                for event in fresh
            ])

        self.mongo.transaction(work)

    def apply_window(self, event: Event) -> None:
        def work(session: ClientSession) -> None:
            for fresh in self.mongo.unapplied(session, [event], by="windows"):
                code = fresh.data["windows"][0]["code"]
                self.mongo.db["windows"].update_one({"_id": code}, {"$inc": {"times": 1}}, upsert=True, session=session)

        self.mongo.transaction(work)

    def tried(self, campaign: str) -> int:
        self.mongo.db["tries"].update_one({"_id": campaign}, {"$inc": {"times": 1}}, upsert=True)
        return int(self.mongo.db["tries"].find_one({"_id": campaign})["times"])

    def held(self, campaign: str) -> None:
        self.mongo.db["held"].update_one({"_id": campaign}, {"$inc": {"times": 1}}, upsert=True)


def event_of(campaign: dict[str, Any]) -> Event:
    return new_event(inspection.campaign_published, subject=f"campaign/{campaign['id']}", version=1,
                     time="2007-03-01T00:00:00.000Z", data={"campaign": campaign})


def window(code: str) -> dict[str, Any]:
    return {"code": code, "version": 1, "name": "窗口", "unit": "u", "unit_name": "单位", "industry": "i",
            "industry_name": "行业", "district": "d", "opened_on": "2007-01-01"}


class ProbeService(Service):
    name = "inspection"
    store = StoreProvider(Store)

    @rpc(inspection.publish_campaign)
    def publish_campaign(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.store.order(payload["campaign"])
        return {"campaign": payload["campaign"]["id"], "version": 1}

    @rpc(inspection.clock)
    def clock_state(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"now": self.context.traceparent, "day": self.context.caller, "completed_day": "", "driven": True}

    @on_events(inspection.campaign_published, batch=50)
    def on_campaigns(self, events: list[Event]) -> None:
        for event in events:
            self._behave(event.data["campaign"])
        self.store.apply(events)

    @on_event(inspection.windows_registered)
    def on_windows(self, event: Event) -> None:
        self.store.apply_window(event)

    def _behave(self, campaign: dict[str, Any]) -> None:
        do = campaign.get("do", "")
        if do == "fail" or (do == "fail-once" and self.store.tried(campaign["id"]) == 1):
            raise ValueError("it was told to fail")
        if do == "invalid":
            raise InvalidPayload("it was told to be invalid", {"do": ["invalid"]})
        if do == "exit":
            self.store.tried(campaign["id"])
            os._exit(9)
        if do == "hold":
            self.store.held(campaign["id"])
            while not (HOLD / "release").exists():
                eventlet.sleep(0.02)
