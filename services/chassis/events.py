"""Events in: ``@on_event`` one by one, ``@on_events`` in batches, each queue on a connection of its own.

A message is acked after its handler returned, a batch by one multiple ack. A handler that fails on a batch sees it
again in halves, so that one poison event never takes its neighbours along. A single event that fails is retried with
growing delays and becomes a dead letter after the last; an invalid one becomes a dead letter at once. While the
database or the broker is away, the batch waits in place.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import eventlet
from eventlet.event import Event as Signal
from nameko.extensions import Entrypoint
from pymongo.errors import ConnectionFailure, PyMongoError

from services.chassis import trace
from services.chassis.amqp import Consumer, Delivery, Outgoing, Publisher, PublishFailed
from services.chassis.clock import real_now
from services.chassis.log import log
from services.chassis.metrics import EVENT_AGE, EVENTS_BATCH, EVENTS_HANDLED
from services.chassis.settings import settings
from services.chassis.topology import DEAD_LETTER_EXCHANGE, retry_exchange
from services.contracts.base import EventContract
from services.contracts.envelope import CONTENT_TYPE, Event, decode
from services.contracts.errors import DomainError, InvalidPayload

PREFETCH_BATCHES = 3
OUTAGE_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)
Pair = tuple[Delivery, Event]


class Abandoned(Exception):
    """The batch was given back to the broker: its connection was lost or the process stops during an outage."""


def is_outage(error: BaseException) -> bool:
    """Whether the database or the broker is away, so that trying another event would fail the same way."""
    if isinstance(error, PublishFailed | ConnectionFailure):
        return True
    return isinstance(error, PyMongoError) and (
        error.timeout or error.has_error_label("TransientTransactionError")
    )


_publishers: dict[str, Publisher] = {}


def publisher() -> Publisher:
    """The process's publisher of retries and dead letters."""
    config = settings()
    if config.service_name not in _publishers:
        _publishers[config.service_name] = Publisher(
            config.amqp_uri, f"{config.service_name} retries", config.publish_timeout
        )
    return _publishers[config.service_name]


def dead_letter(service: str, queue: str, delivery: Delivery, error: BaseException, attempts: int) -> None:
    """Hand a message with its cause to the service's dead-letter queue. Raises PublishFailed."""
    fields = error.fields if isinstance(error, DomainError) else {}
    publisher().publish_one(
        Outgoing(
            id=str(uuid.uuid4()),
            exchange=DEAD_LETTER_EXCHANGE,
            routing_key=service,
            body=delivery.body,
            content_type=delivery.properties.get("content_type", ""),
            type=delivery.properties.get("type", ""),
            headers={
                "queue": queue,
                "cause": type(error).__name__,
                "error": str(error)[:2000],
                "attempts": attempts,
                "original-routing-key": delivery.headers.get("original-routing-key", delivery.routing_key),
                "fields": {path: "; ".join(why)[:300] for path, why in list(fields.items())[:30]},
            },
        )
    )


class EventEntrypoint(Entrypoint):
    """One queue of a service; ``contracts`` are what it is bound to and accepts."""

    def __init__(
        self,
        *contracts: EventContract,
        queue: str | None = None,
        batch: int = 1,
        single: bool = True,
        **kwargs: Any,
    ) -> None:
        self.contracts = contracts
        self.queue = queue
        self.batch = batch
        self.single = single
        super().__init__(**kwargs)

    def queue_name(self, service: str, handler: str) -> str:
        return f"{service}.{self.queue or handler.removeprefix('on_')}"

    def setup(self) -> None:
        config = settings()
        self.service = self.container.service_name
        self.name = self.queue_name(self.service, self.method_name)
        self.known = {contract.type: contract for contract in self.contracts}
        self.delays = config.retry_delays
        self.consumer = Consumer(
            config.amqp_uri,
            self.name,
            self.handle,
            prefetch=self.batch * PREFETCH_BATCHES,
            batch=self.batch,
            spawn=self.container.spawn_managed_thread,
        )

    def start(self) -> None:
        self.consumer.start()

    def stop(self) -> None:
        self.consumer.stop()

    def kill(self) -> None:
        self.consumer.kill()

    def handle(self, deliveries: list[Delivery]) -> None:
        """Settle a batch: everything in it was applied, sent to retry or dead-lettered before its one ack."""
        started = time.monotonic()
        try:
            pairs = [pair for delivery in deliveries if (pair := self._decoded(delivery))]
            self._apply(pairs)
        except Abandoned:
            return
        self.consumer.ack(deliveries[-1], multiple=True)
        EVENTS_BATCH.labels(self.name).observe(time.monotonic() - started)

    def _decoded(self, delivery: Delivery) -> Pair | None:
        try:
            if delivery.properties.get("content_type") != CONTENT_TYPE:
                raise InvalidPayload(
                    f"content type must be {CONTENT_TYPE}",
                    {"content_type": [f"got {delivery.properties.get('content_type')!r}"]},
                )
            return delivery, decode(delivery.body, self.known)
        except InvalidPayload as error:
            self._dead(delivery, error)
            return None

    def _apply(self, pairs: list[Pair]) -> None:
        if not pairs:
            return
        for outage in range(1_000_000):
            error = self._call([event for _, event in pairs])
            if error is None:
                self._applied(pairs)
                return
            if not is_outage(error):
                break
            self._wait_out(pairs[0][0], error, outage)
        if len(pairs) > 1:
            middle = len(pairs) // 2
            self._apply(pairs[:middle])
            self._apply(pairs[middle:])
        elif isinstance(error, InvalidPayload):
            self._dead(pairs[0][0], error)
        elif error is not None:
            self._retry(pairs[0][0], error)

    def _call(self, events: list[Event]) -> BaseException | None:
        done = Signal()
        trace.enter(trace.child_of(events[-1].traceparent))
        context = {"traceparent": trace.current(), "caller": events[-1].source}

        def finished(worker_ctx: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
            done.send(exc_info[1] if exc_info else None)
            return result, exc_info

        self.container.spawn_worker(
            self, (events[0] if self.single else events,), {}, context_data=context, handle_result=finished
        )
        outcome: BaseException | None = done.wait()
        return outcome

    def _applied(self, pairs: list[Pair]) -> None:
        now = real_now().timestamp()
        EVENTS_HANDLED.labels(self.name, "applied").inc(len(pairs))
        for delivery, _ in pairs:
            if "published-at" in delivery.headers:
                EVENT_AGE.labels(self.name).observe(max(0.0, now - delivery.headers["published-at"] / 1000))

    def _wait_out(self, delivery: Delivery, error: BaseException, outage: int) -> None:
        log("waiting_for_outage", level="warning", queue=self.name, error=repr(error))
        if self.consumer.stopping or delivery.channel is not self.consumer._channel:
            raise Abandoned
        eventlet.sleep(OUTAGE_DELAYS[min(outage, len(OUTAGE_DELAYS) - 1)])

    def _retry(self, delivery: Delivery, error: BaseException) -> None:
        attempt = int(delivery.headers.get("attempt", 0))
        if attempt >= len(self.delays):
            self._dead(delivery, error, attempt + 1)
            return
        log(
            "event_retried",
            level="warning",
            queue=self.name,
            attempt=attempt + 1,
            error=repr(error),
            exc_info=(type(error), error, error.__traceback__),
        )
        EVENTS_HANDLED.labels(self.name, "retried").inc()
        headers = {key: value for key, value in delivery.headers.items() if key != "x-death"}
        headers.setdefault("original-routing-key", delivery.routing_key)
        headers["attempt"] = attempt + 1
        message = Outgoing(
            id=str(uuid.uuid4()),
            exchange=retry_exchange(self.delays[attempt]),
            routing_key=self.name,
            body=delivery.body,
            content_type=delivery.properties.get("content_type", ""),
            type=delivery.properties.get("type", ""),
            headers=headers,
        )
        self._surely(delivery, lambda: publisher().publish_one(message))

    def _dead(self, delivery: Delivery, error: BaseException, attempts: int = 1) -> None:
        log("event_dead", level="error", queue=self.name, cause=type(error).__name__, error=str(error)[:500])
        EVENTS_HANDLED.labels(self.name, "dead").inc()
        self._surely(delivery, lambda: dead_letter(self.service, self.name, delivery, error, attempts))

    def _surely(self, delivery: Delivery, publish: Any) -> None:
        for outage in range(1_000_000):
            try:
                publish()
                return
            except PublishFailed as error:
                self._wait_out(delivery, error, outage)


def on_event(*contracts: EventContract, queue: str | None = None) -> Any:
    """The method gets one ``Event`` at a time, in order of arrival."""
    return EventEntrypoint.decorator(*contracts, queue=queue, batch=1, single=True)


def on_events(*contracts: EventContract, queue: str | None = None, batch: int = 200) -> Any:
    """The method gets a list of up to ``batch`` events: those there at once, never waited for."""
    return EventEntrypoint.decorator(*contracts, queue=queue, batch=batch, single=False)
