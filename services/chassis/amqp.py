"""AMQP under eventlet: one consumer a queue on a connection of its own, and a publisher that never hangs.

nameko's own consumer and publisher are not used (docs/adr/0001): they ack a failed event, close the connection under a
running handler, share one channel for all handlers, and wait for ever on a half-open link.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import eventlet
from amqp.basic_message import Message as AmqpMessage
from amqp.exceptions import NotFound as AmqpNotFound
from eventlet.queue import Empty, LightQueue
from eventlet.semaphore import Semaphore
from kombu import Connection

from services.chassis.log import log
from services.chassis.metrics import CONSUMER_UP, PUBLISH_FAILURES, QUEUE_IN_HAND

HEARTBEAT = 10
CONNECT_TIMEOUT = 5
RECONNECT_DELAYS = (0.2, 0.5, 1, 2, 3, 5)


class PublishFailed(Exception):
    """The broker did not confirm; nothing may be assumed published. Try again."""


class PublishTimeout(PublishFailed):
    """No confirm in time; the connection was thrown away."""


class Unroutable(PublishFailed):
    """No queue takes these messages: something was not declared at deploy."""


def connect(uri: str, name: str) -> Connection:
    """An open connection with heartbeats."""
    connection = Connection(
        uri,
        heartbeat=HEARTBEAT,
        connect_timeout=CONNECT_TIMEOUT,
        transport_options={"client_properties": {"connection_name": name}, "confirm_publish": False},
    )
    # a peer that accepts and then stays silent would hold the handshake for ever
    with eventlet.Timeout(
        CONNECT_TIMEOUT * 3, ConnectionError(f"{name}: no AMQP handshake within {CONNECT_TIMEOUT * 3} s")
    ):
        connection.connect()
    return connection


def discard(connection: Connection | None) -> None:
    """Let go of a connection that may hang: shut the socket first, so that no close handshake is waited for."""
    if connection is None:
        return
    try:
        transport: Any = getattr(connection._connection, "transport", None)  # kombu has no public way to the socket
        transport.sock.shutdown(socket.SHUT_RDWR)
    except (AttributeError, OSError):
        pass
    try:
        connection.collect()
    except Exception as error:  # whatever a half-dead connection raises while it is dropped changes nothing
        log("amqp_collect_failed", level="debug", error=repr(error))


@dataclass
class Delivery:
    """One message in hand. It stays the broker's until ``ack``; if the process dies it is delivered again."""

    body: bytes
    properties: dict[str, Any]
    routing_key: str
    exchange: str
    tag: int
    channel: Any

    @property
    def headers(self) -> dict[str, Any]:
        return self.properties.get("application_headers") or {}


class Consumer:
    """Consumes one queue on its own connection and channel, reconnecting for ever.

    ``handle`` gets up to ``batch`` deliveries in order of arrival: what is there at once, never waiting for more. It
    must settle every delivery itself (``ack``). With ``workers`` > 1 batches are handled side by side.
    """

    def __init__(
        self,
        uri: str,
        queue: str,
        handle: Callable[[list[Delivery]], None],
        *,
        prefetch: int,
        batch: int,
        workers: int = 1,
        spawn: Callable[..., Any] = eventlet.spawn,
    ) -> None:
        self.uri, self.queue, self.handle = uri, queue, handle
        self.prefetch, self.batch, self.workers, self.spawn = prefetch, batch, workers, spawn
        self.buffer: LightQueue = LightQueue()
        self.in_hand = 0
        self.connected = False
        self.stopping = False
        self._connection: Connection | None = None
        self._channel: Any = None
        self._threads: list[Any] = []

    def start(self) -> None:
        CONSUMER_UP.labels(self.queue).set(0)
        self._threads = [self.spawn(self._read), *(self.spawn(self._work) for _ in range(self.workers))]

    def stop(self) -> None:
        """Take nothing more, finish what is in hand, then close. Returns when nothing is left."""
        self.stopping = True
        for thread in self._threads:
            thread.wait()

    def kill(self) -> None:
        self.stopping = True
        discard(self._connection)

    def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        """Settle a delivery (with ``multiple`` all before it too). One of a lost connection is left to redelivery."""
        if delivery.channel is not self._channel:
            return
        try:
            delivery.channel.basic_ack(delivery.tag, multiple=multiple)
        except Exception as error:  # the connection broke: the broker delivers again, which is harmless
            log("ack_failed", level="warning", queue=self.queue, error=repr(error))
            discard(self._connection)

    def settled(self, count: int) -> None:
        self.in_hand -= count
        QUEUE_IN_HAND.labels(self.queue).set(self.in_hand)

    def _read(self) -> None:
        attempt = 0
        while not self.stopping:
            try:
                self._session()
                attempt = 0
            except AmqpNotFound as error:
                log(
                    "queue_missing",
                    level="error",
                    queue=self.queue,
                    error=str(error),
                    do="import the broker's definitions (deploy/rabbitmq)",
                )
            except Exception as error:  # any failure of the link means: connect again
                if not self.stopping:
                    log("consumer_disconnected", level="warning", queue=self.queue, error=repr(error))
            finally:
                attempt = 0 if self.connected else attempt + 1
                self.connected = False
                CONSUMER_UP.labels(self.queue).set(0)
                self._channel = None
                discard(self._connection)
                self._connection = None
            if not self.stopping:
                eventlet.sleep(RECONNECT_DELAYS[min(attempt, len(RECONNECT_DELAYS) - 1)])

    def _session(self) -> None:
        self._connection = connection = connect(self.uri, f"consume {self.queue}")
        channel = connection.channel()
        with eventlet.Timeout(CONNECT_TIMEOUT * 2, ConnectionError(f"{self.queue}: broker does not answer")):
            channel.queue_declare(self.queue, passive=True)
            channel.basic_qos(0, self.prefetch, False)
            self._channel = channel
            tag = channel.basic_consume(self.queue, callback=self._arrived)
        self.connected = True
        CONSUMER_UP.labels(self.queue).set(1)
        cancelled = False
        while not (self.stopping and self.in_hand == 0):
            if self.stopping and not cancelled:
                channel.basic_cancel(tag)
                cancelled = True
            try:
                connection.drain_events(timeout=0.25 if self.stopping else 1)
            except TimeoutError:
                pass
            connection.heartbeat_check()
        with eventlet.Timeout(2, False):
            connection.close()

    def _arrived(self, message: Any) -> None:
        info = message.delivery_info
        body = message.body
        self.in_hand += 1
        QUEUE_IN_HAND.labels(self.queue).set(self.in_hand)
        self.buffer.put(
            Delivery(
                body=body.encode() if isinstance(body, str) else bytes(body),
                properties=message.properties,
                routing_key=info["routing_key"],
                exchange=info["exchange"],
                tag=info["delivery_tag"],
                channel=message.channel,
            )
        )

    def _work(self) -> None:
        while not (self.stopping and self.in_hand == 0):
            try:
                first = self.buffer.get(timeout=0.5)
            except Empty:
                if self.stopping and self._connection is None and self.buffer.empty():
                    return
                continue
            deliveries = [first]
            if self.batch > 1:
                eventlet.sleep(0)
            while len(deliveries) < self.batch:
                try:
                    deliveries.append(self.buffer.get_nowait())
                except Empty:
                    break
            # what a lost connection delivered comes again on the new one
            current = [delivery for delivery in deliveries if delivery.channel is self._channel]
            try:
                if current:
                    self.handle(current)
            finally:
                self.settled(len(deliveries))


@dataclass(frozen=True)
class Outgoing:
    """A message to publish. ``id`` is its message id (unique within one ``publish``)."""

    id: str
    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    headers: dict[str, Any] = field(default_factory=dict)
    type: str = ""


class Publisher:
    """Publishes persistent, mandatory and confirmed, pipelined, on a connection of its own.

    A link that hangs is cut after ``timeout`` seconds and a new one is made at the next call: a channel whose confirm
    timed out is never used again, since py-amqp would take any later ack for the missing one.
    """

    def __init__(self, uri: str, name: str, timeout: float) -> None:
        self.uri, self.name, self.timeout = uri, name, timeout
        self._lock = Semaphore()
        self._connection: Connection | None = None
        self._channel: Any = None
        self._published = 0
        self._pending: dict[int, str] = {}
        self._refused: set[str] = set()
        self._returned: set[str] = set()

    def publish(self, messages: list[Outgoing]) -> set[str]:
        """The ids the broker confirmed and routed. Raises PublishFailed when it is not known for all of the rest.

        An unroutable or refused message is simply not among the ids returned.
        """
        if not messages:
            return set()
        with self._lock:
            try:
                with eventlet.Timeout(
                    self.timeout, PublishTimeout(f"{self.name}: no confirm within {self.timeout} s")
                ):
                    return self._publish(messages)
            except PublishTimeout:
                PUBLISH_FAILURES.labels("timeout").inc()
                self._discard()
                raise
            except (
                Exception
            ) as error:  # the link's own errors are many; after any of them it is not used again
                PUBLISH_FAILURES.labels("connection").inc()
                self._discard()
                raise PublishFailed(f"{self.name}: {error!r}") from error

    def publish_one(self, message: Outgoing) -> None:
        """Publish one message. Raises Unroutable or PublishFailed."""
        if message.id not in self.publish([message]):
            raise Unroutable(f"{message.exchange} {message.routing_key}: no queue took it")

    def queue_sizes(self, queues: list[str]) -> dict[str, int]:
        """Messages ready in each queue. Raises PublishFailed when the broker cannot be asked."""
        with self._lock:
            try:
                with eventlet.Timeout(self.timeout, PublishTimeout("the broker does not answer")):
                    channel = self._open()
                    return {
                        queue: channel.queue_declare(queue, passive=True).message_count for queue in queues
                    }
            except Exception as error:  # a channel error closes the channel: start afresh
                self._discard()
                raise PublishFailed(f"{self.name}: {error!r}") from error

    def keep_alive(self) -> None:
        """Answer heartbeats of an idle connection; call every few seconds."""
        if self._connection is None:
            return
        with self._lock:
            try:
                with eventlet.Timeout(self.timeout, PublishTimeout("heartbeat")):
                    self._drain(0.01)
                    self._connection.heartbeat_check()
            except Exception as error:  # a dead idle link: the next publish connects again
                log("publisher_disconnected", level="warning", name=self.name, error=repr(error))
                self._discard()

    def close(self) -> None:
        with self._lock:
            self._discard()

    def _publish(self, messages: list[Outgoing]) -> set[str]:
        channel = self._open()
        self._pending, self._refused, self._returned = {}, set(), set()
        for message in messages:
            self._published += 1
            self._pending[self._published] = message.id
            channel._basic_publish(
                AmqpMessage(
                    message.body,
                    content_type=message.content_type,
                    delivery_mode=2,
                    message_id=message.id,
                    type=message.type,
                    application_headers=message.headers,
                ),
                exchange=message.exchange,
                routing_key=message.routing_key,
                mandatory=True,
            )
        while self._pending:
            self._drain(self.timeout)
        if self._returned:
            PUBLISH_FAILURES.labels("unroutable").inc(len(self._returned))
        if self._refused:
            PUBLISH_FAILURES.labels("refused").inc(len(self._refused))
        return {message.id for message in messages} - self._returned - self._refused

    def _drain(self, timeout: float) -> None:
        assert self._connection is not None
        try:
            self._connection.drain_events(timeout=timeout)
        except TimeoutError:
            pass

    def _open(self) -> Any:
        if self._channel is None:
            self._connection = connect(self.uri, f"publish {self.name}")
            channel = self._connection.channel()
            channel.confirm_select()
            channel.events["basic_ack"].add(self._acked)
            channel.events["basic_nack"].add(self._nacked)
            channel.events["basic_return"].add(self._came_back)
            self._published, self._channel = 0, channel
        return self._channel

    def _settle(self, tag: int, multiple: bool) -> list[str]:
        tags = [known for known in self._pending if known <= tag] if multiple else [tag]
        return [self._pending.pop(known) for known in tags if known in self._pending]

    def _acked(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._refused.update(self._settle(tag, multiple))

    def _came_back(self, error: Any, exchange: str, routing_key: str, message: Any) -> None:
        log(
            "unroutable",
            level="error",
            exchange=exchange,
            routing_key=routing_key,
            reason=str(error),
            do="import the broker's definitions (deploy/rabbitmq)",
        )
        self._returned.add(message.properties.get("message_id", ""))

    def _discard(self) -> None:
        discard(self._connection)
        self._connection = self._channel = None
