"""A service for trying the chassis on real processes: it poses as inspection and eats its own events.

``publish_campaign`` stores an order and its event in one transaction; ``on_campaigns`` applies events in batches, each
with an event of its own; ``on_windows`` applies those one by one. What a campaign says decides how it is handled:

- ``do``, when its event is handled: ``fail`` (always), ``fail-once``, ``invalid``, ``exit`` (the process dies),
  ``hold`` (until released), ``timeout`` (a bare ``eventlet.Timeout``), ``long-path`` (an error that AMQP cannot carry as
  it is), ``hold-window`` (its own event is held in ``on_windows``);
- ``rpc``, when it is ordered: ``die`` (after the commit, the first time), ``crash`` (each time), ``timeout``,
  ``hold``, ``no-json`` (an answer that is none), ``echo`` (answers with ``text``).

``hold`` waits for the file ``release`` in PROBE_FOLDER, the duty ``tick`` for ``hold-duty`` to go.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import eventlet
from pymongo.client_session import ClientSession

from services.chassis.clock import real_now
from services.chassis.door import rpc
from services.chassis.duties import duty
from services.chassis.events import on_event, on_events
from services.chassis.mongo import Mongo, StoreProvider
from services.chassis.service import Service
from services.contracts import inspection
from services.contracts.envelope import Event, new_event
from services.contracts.errors import InvalidPayload

FOLDER = Path(os.environ.get("PROBE_FOLDER", "."))


class Store:
    def __init__(self, mongo: Mongo) -> None:
        self.mongo = mongo

    def ensure_indexes(self) -> None:
        for name in ("orders", "applied", "windows", "tries", "held", "ticks"):
            self.mongo.collection(name, [])

    def order(self, campaign: dict[str, Any]) -> None:
        def work(session: ClientSession) -> None:
            self.mongo.db["orders"].update_one(
                {"_id": campaign["id"]}, {"$inc": {"times": 1}}, upsert=True, session=session
            )
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
                          time=event.time, traceparent=event.traceparent,
                          data={"windows": [window(event.data["campaign"])]})
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

    def tick_began(self) -> Any:
        return self.mongo.db["ticks"].insert_one({"by": os.getpid(), "began": real_now()}).inserted_id

    def tick_ended(self, tick: Any) -> None:
        self.mongo.db["ticks"].update_one({"_id": tick}, {"$set": {"ended": real_now()}})


def event_of(campaign: dict[str, Any]) -> Event:
    return new_event(inspection.campaign_published, subject=f"campaign/{campaign['id']}", version=1,
                     time="2007-03-01T00:00:00.000Z", data={"campaign": campaign})


def window(campaign: dict[str, Any]) -> dict[str, Any]:
    return {"code": campaign["id"], "version": 1, "name": campaign.get("do", "窗口"), "unit": "u", "unit_name": "单位",
            "industry": "i", "industry_name": "行业", "district": "d", "opened_on": "2007-01-01"}


def wait_for_release() -> None:
    while not (FOLDER / "release").exists():
        eventlet.sleep(0.02)


class ProbeService(Service):
    name = "inspection"
    store = StoreProvider(Store)

    @rpc(inspection.publish_campaign)
    def publish_campaign(self, payload: dict[str, Any]) -> dict[str, Any]:
        campaign = payload["campaign"]
        answer: dict[str, Any] = {"campaign": campaign["id"], "version": 1}
        do = campaign.get("rpc", "")
        if do == "crash":
            self.store.tried(campaign["id"])
            os._exit(9)
        if do == "timeout":
            raise eventlet.Timeout(5)
        if do == "hold":
            self.store.held(campaign["id"])
            wait_for_release()
        self.store.order(campaign)
        if do == "die" and self.store.tried(campaign["id"]) == 1:
            os._exit(9)
        if do == "no-json":
            answer[1] = object()  # type: ignore[index]
        return {**answer, "text": campaign["text"]} if "text" in campaign else answer

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
        seen = event.data["windows"][0]
        if seen["name"] == "hold-window":
            self.store.held(seen["code"])
            wait_for_release()
        self.store.apply_window(event)

    @duty(every=0.2)
    def tick(self) -> None:
        tick = self.store.tick_began()
        while (FOLDER / "hold-duty").exists():
            eventlet.sleep(0.05)
        self.store.tick_ended(tick)

    def _behave(self, campaign: dict[str, Any]) -> None:
        do = campaign.get("do", "")
        if do == "fail":
            self.store.tried(campaign["id"])
            raise ValueError("it was told to fail")
        if do == "fail-once" and self.store.tried(campaign["id"]) == 1:
            raise ValueError("it was told to fail once")
        if do == "invalid":
            raise InvalidPayload("it was told to be invalid", {"do": ["invalid"]})
        if do == "long-path":
            raise InvalidPayload("it was told to be unspeakable \ud800", {"x" * 300: ["\ud800"]})
        if do == "timeout":
            self.store.tried(campaign["id"])
            raise eventlet.Timeout(5)
        if do == "exit":
            self.store.tried(campaign["id"])
            os._exit(9)
        if do == "hold":
            self.store.held(campaign["id"])
            wait_for_release()
