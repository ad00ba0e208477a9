"""Scoring: judges the facts that inspection publishes."""

from __future__ import annotations

from typing import Any

from services.chassis.door import rpc
from services.chassis.duties import duty
from services.chassis.events import on_event, on_events
from services.chassis.mongo import StoreProvider
from services.chassis.service import Service
from services.contracts import inspection, scoring
from services.contracts.envelope import Event
from services.scoring.store import CITY, Store
from services.scoring.verification import verify

Payload = dict[str, Any]


class ScoringService(Service):
    """The figures of a campaign (``services/contracts/scoring.py``)."""

    name = "scoring"
    store = StoreProvider(Store)

    @on_events(inspection.visit_recorded, inspection.visit_amended, inspection.visit_voided)
    def on_visits(self, events: list[Event]) -> None:
        self.store.apply_visits(events)

    @on_events(inspection.ratings_recorded, inspection.rating_withdrawn, batch=20)
    def on_ratings(self, events: list[Event]) -> None:
        self.store.apply_ratings(events)

    @on_events(inspection.campaign_published, inspection.windows_registered, batch=20)
    def on_reference(self, events: list[Event]) -> None:
        self.store.apply_reference(events)

    @on_event(inspection.clock_advanced)
    def on_clock_advanced(self, event: Event) -> None:
        self.clock.follow(event)
        self.store.advance(event)

    @duty(every=0.3)
    def refresh(self) -> None:
        self.store.refresh()

    @rpc(scoring.window_score)
    def window_score(self, payload: Payload) -> Payload:
        return self.store.score("window", payload["window"])

    @rpc(scoring.industry_score)
    def industry_score(self, payload: Payload) -> Payload:
        return self.store.score("industry", payload["industry"])

    @rpc(scoring.city_score)
    def city_score(self, payload: Payload) -> Payload:
        return self.store.score(CITY, CITY)

    @rpc(scoring.explain)
    def explain(self, payload: Payload) -> Payload:
        return self.store.explain(payload["window"])

    @rpc(scoring.verify)
    def verify(self, payload: Payload) -> Payload:
        return verify(self.store)
