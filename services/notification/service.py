"""Notification: tells those who must act, by mail."""

from __future__ import annotations

from typing import Any

from nameko.extensions import DependencyProvider

from services.chassis.door import rpc
from services.chassis.duties import duty
from services.chassis.events import on_event, on_events
from services.chassis.mongo import StoreProvider
from services.chassis.service import Service
from services.contracts import inspection, notification, scoring
from services.contracts.envelope import Event
from services.notification import metrics
from services.notification.sending import Sender, sender
from services.notification.store import Store

Payload = dict[str, Any]


class SenderProvider(DependencyProvider):
    def setup(self) -> None:
        self.sender = sender()

    def get_dependency(self, worker_ctx: Any) -> Sender:
        return self.sender


class NotificationService(Service):
    """The campaign's mails (``services/contracts/notification.py``)."""

    name = "notification"
    store = StoreProvider(Store)
    sender = SenderProvider()

    @on_events(inspection.windows_registered, inspection.campaign_published)
    def on_reference(self, events: list[Event]) -> None:
        self.store.keep_reference(events)

    @on_events(inspection.visit_recorded, scoring.conformity_changed, scoring.verdict_changed)
    def on_facts(self, events: list[Event]) -> None:
        metrics.MAILS_OWED.inc(self.store.owe(events))

    @on_event(inspection.clock_advanced)
    def on_clock_advanced(self, event: Event) -> None:
        self.clock.follow(event)

    @duty(every=0.5, lease=False)
    def send_due(self) -> None:
        self.sender.send_due(self.store)  # type: ignore[attr-defined]

    @rpc(notification.messages)
    def messages(self, payload: Payload) -> Payload:
        return self.store.messages(**payload)

    @rpc(notification.resend)
    def resend(self, payload: Payload) -> Payload:
        return self.store.resend(payload["message"])
