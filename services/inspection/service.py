"""Inspection: records what was found at the windows, and what citizens said; owns the campaign clock."""

from __future__ import annotations

from typing import Any

from services.chassis.clock import real_now
from services.chassis.door import rpc
from services.chassis.duties import duty
from services.chassis.mongo import StoreProvider
from services.chassis.service import Service
from services.contracts import inspection
from services.contracts.base import parse_instant
from services.inspection import intake, metrics
from services.inspection.domain.clock import Stamp, cut
from services.inspection.store import Store, clock_answer

Payload = dict[str, Any]


class InspectionService(Service):
    """The facts of a campaign (``services/contracts/inspection.py``)."""

    name = "inspection"
    store = StoreProvider(Store)

    def stamp(self) -> Stamp:
        return Stamp(cut(self.clock.now()), real_now(), self.context.caller)

    @rpc(inspection.publish_campaign)
    def publish_campaign(self, payload: Payload) -> Payload:
        document = intake.campaign_document(payload["campaign"])
        return self.store.publish_campaign(document, self.stamp(), self.clock.driven).answer

    @rpc(inspection.import_registry)
    def import_registry(self, payload: Payload) -> Payload:
        outcome = self.store.import_registry(intake.registry_of(payload["workbook"]), self.stamp())
        metrics.WINDOWS.inc(outcome.new)
        return outcome.answer

    @rpc(inspection.record_visit)
    def record_visit(self, payload: Payload) -> Payload:
        outcome = self.store.record_visit(payload, self.stamp())
        metrics.visit("recorded", outcome.new)
        return outcome.answer

    @rpc(inspection.amend_visit)
    def amend_visit(self, payload: Payload) -> Payload:
        outcome = self.store.amend_visit(payload, self.stamp())
        metrics.visit("amended", outcome.new)
        return outcome.answer

    @rpc(inspection.void_visit)
    def void_visit(self, payload: Payload) -> Payload:
        outcome = self.store.void_visit(payload["visit_id"], payload["reason"], self.stamp())
        metrics.visit("voided", outcome.new)
        return outcome.answer

    @rpc(inspection.get_visit)
    def get_visit(self, payload: Payload) -> Payload:
        return self.store.get_visit(payload["visit_id"])

    @rpc(inspection.record_ratings)
    def record_ratings(self, payload: Payload) -> Payload:
        outcome = self.store.record_ratings(payload["batch_id"], payload["ratings"], self.stamp())
        metrics.ratings(outcome.answer)
        return outcome.answer

    @rpc(inspection.withdraw_rating)
    def withdraw_rating(self, payload: Payload) -> Payload:
        outcome = self.store.withdraw_rating(payload["rating_id"], payload["reason"], self.stamp())
        metrics.withdrawal(outcome.new)
        return outcome.answer

    @rpc(inspection.fact_digest)
    def fact_digest(self, payload: Payload) -> Payload:
        return self.store.fact_digest(payload["since"], payload["until"])

    @rpc(inspection.clock)
    def show_clock(self, payload: Payload) -> Payload:
        return clock_answer(self.clock.now(), self.clock.driven)

    @rpc(inspection.advance_clock)
    def advance_clock(self, payload: Payload) -> Payload:
        to = parse_instant(payload["to"])
        return self.store.advance_clock(to, real_now(), self.clock.driven).answer

    @duty(every=1.0)
    def begin_day(self) -> None:
        self.store.begin_day(real_now(), self.clock.driven)
