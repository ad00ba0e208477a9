"""Sends what is due: claim, render, hand over, settle; one mail at a time, as many as there are."""

from __future__ import annotations

from services.chassis import trace
from services.chassis.clock import real_now
from services.chassis.log import log
from services.chassis.settings import settings
from services.notification import metrics
from services.notification.domain.delivery import RETRY, Outcome
from services.notification.mailer import Mailer, compose
from services.notification.rendering import render
from services.notification.store import NO_ADDRESS, Document, Store

BURST = 500


class Sender:
    """One process's way to the relay."""

    def __init__(self, mailer: Mailer, sender: str, public_url: str, owner: str) -> None:
        self.mailer, self.sender, self.public_url, self.owner = mailer, sender, public_url.rstrip("/"), owner

    def send_due(self, store: Store) -> int:
        """Send up to a burst of what is due; returns how many were tried. Stops early when the relay is away."""
        tried = 0
        while tried < BURST and (message := store.claim(self.owner)) is not None:
            tried += 1
            if message["ambiguous"]:
                metrics.AMBIGUOUS.inc()
            if not self._send(store, message):
                break
        oldest = store.oldest_due()
        metrics.OLDEST_DUE.set((real_now() - oldest).total_seconds() if oldest else 0)
        return tried

    def _send(self, store: Store, message: Document) -> bool:
        """Whether the relay is there to go on with."""
        trace.enter(trace.child_of(message["traceparent"]))
        address, names = store.address_of(message)
        if address is None:
            store.settle(message, Outcome(RETRY, NO_ADDRESS), recipient=None, subject="")
            return True
        rendered = render(
            message["template"],
            {**message["context"], **names, "link": self._link(message), "message": message["_id"]},
        )
        mail = compose(
            rendered,
            message=message["_id"],
            sender=self.sender,
            recipient=address,
            traceparent=message["traceparent"],
        )
        outcome = self.mailer.send(mail, self.sender, address)
        state = store.settle(message, outcome, recipient=address, subject=rendered.subject)
        metrics.MAILS.labels(message["template"], outcome.kind if state != "failed" else "failed").inc()
        log(
            "mail",
            outcome=outcome.kind,
            state=state,
            mail=message["_id"],
            template=message["template"],
            words=outcome.words[:200],
        )
        return not outcome.words.startswith("relay:")

    def _link(self, message: Document) -> str:
        window = message["context"].get("window")
        path = f"/windows/{window}" if window else "/"
        return f"{self.public_url}{path}" if self.public_url else ""


def sender() -> Sender:
    """This process's sender, from its settings."""
    config = settings()
    return Sender(Mailer(config.smtp_uri), config.mail_from, config.public_url, config.instance)
