"""An RPC caller without eventlet: nameko's wire protocol over py-amqp, for other systems and for services.

A call is published to the topic exchange ``nameko-rpc`` under ``<service>.<method>`` with the body
``{"args": [], "kwargs": {…}}``; the answer comes back through RabbitMQ's direct reply-to, so that an account
needs no right to declare, bind or read any queue. ``user_id`` is the connection's own user, which the broker
validates. Calls are the same call when repeated (ids are the caller's), therefore a lost connection is opened
again and what is unanswered is published again, until the call's time is over.

Works plainly and under eventlet's monkey patch; one instance may be used by several threads.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import amqp
import kombu
import orjson
from amqp.exceptions import AMQPError, ChannelError

from services.chassis.trace import child_of, current
from services.contracts.errors import DomainError, InvalidPayload, NotAllowed, NotReady, from_wire

RPC_EXCHANGE = "nameko-rpc"
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"
WINDOW = 32
_CONNECT_SECONDS = 5
_CLOSE_SECONDS = 1.0
_TICK_SECONDS = 1.0
_REFUSED_TOPIC = re.compile(r"topic '([^']+)'")
# py-amqp lets AttributeError and TypeError escape when its connection goes away while a method is being sent.
_kombu: Any = kombu
_LOST = (AMQPError, OSError, AttributeError, TypeError)


class _Request:
    """One call on its way: encoded once, published as often as connections are lost."""

    def __init__(self, routing_key: str, payload: dict[str, Any], seconds: float, traceparent: str) -> None:
        self.routing_key = routing_key
        try:
            self.body = orjson.dumps({"args": [], "kwargs": payload})
        except TypeError as error:
            raise InvalidPayload(
                f"{routing_key} 的参数不能写成 JSON / cannot be written as JSON: {error}",
                {"payload": [str(error)]},
            ) from error
        self.correlation_id = str(uuid.uuid4())
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.traceparent = traceparent
        self.published_on: int | None = None
        self.outcome: dict[str, Any] | DomainError | None = None

    def result(self) -> dict[str, Any]:
        if isinstance(self.outcome, DomainError):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome


class Caller:
    """Calls RPCs of the platform as the account in ``amqp_uri``.

    Raises the contract's DomainErrors: what the service answered; ``NotReady`` when nothing is bound to the
    call's key, when its time is over, or when the broker cannot be reached in that time; ``NotAllowed`` when
    the broker refuses the account or the call. ``heartbeat``: seconds, 0 switches it off.
    """

    def __init__(self, amqp_uri: str, *, timeout: float = 10.0, heartbeat: int = 20) -> None:
        self.timeout = timeout
        self._broker: Any = _kombu.Connection(amqp_uri, heartbeat=heartbeat, connect_timeout=_CONNECT_SECONDS)
        self.account: str = self._broker.userid or "guest"
        self.address = f"{self._broker.hostname}:{self._broker.port or 5672}"
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._pending: dict[str, _Request] = {}
        self._amqp: Any = None
        self._channel: Any = None
        self._connections = 0
        self._last_used = 0.0
        self._last_tick = 0.0
        self._last_loss = ""

    def call(
        self,
        routing_key: str,
        payload: dict[str, Any] | None = None,
        timeout: float | None = None,
        traceparent: str | None = None,
    ) -> dict[str, Any]:
        """The result of one call. ``timeout``: seconds in all, reconnecting included."""
        request = self._register(routing_key, payload, timeout, traceparent)
        try:
            self._await(request, [request])
            return request.result()
        finally:
            self._pending.pop(request.correlation_id, None)

    def call_many(
        self,
        calls: Iterable[tuple[str, dict[str, Any]]],
        *,
        window: int = WINDOW,
        timeout: float | None = None,
        traceparent: str | None = None,
    ) -> Iterator[dict[str, Any] | DomainError]:
        """Answers in the order of ``calls``, at most ``window`` calls in flight.

        An answer is the call's result or the DomainError it ended with. ``timeout``: seconds for each call,
        from when it is published. ``calls`` is read only as far ahead as the window.
        """
        source = iter(calls)
        flying: deque[_Request] = deque()
        try:
            while True:
                while len(flying) < window and (following := next(source, None)) is not None:
                    flying.append(self._register(*following, timeout, traceparent))
                if not flying:
                    return
                self._await(flying[0], flying)
                done = flying.popleft()
                self._pending.pop(done.correlation_id, None)
                assert done.outcome is not None
                yield done.outcome
        finally:
            for request in flying:
                self._pending.pop(request.correlation_id, None)

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            self._drop(gracefully=True)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _register(
        self,
        routing_key: str,
        payload: dict[str, Any] | None,
        timeout: float | None,
        traceparent: str | None,
    ) -> _Request:
        request = _Request(
            routing_key, payload or {}, timeout or self.timeout, traceparent or child_of(current())
        )
        self._pending[request.correlation_id] = request
        return request

    def _await(self, awaited: _Request, flying: Iterable[_Request]) -> None:
        """Publish what is not yet published and read answers until ``awaited`` has an outcome."""
        pause = 0.05
        with self._lock:
            while awaited.outcome is None:
                remaining = awaited.deadline - time.monotonic()
                if remaining <= 0:
                    awaited.outcome = self._timed_out(awaited)
                    # The link may be half open: the next call starts on a new one.
                    self._drop()
                    return
                try:
                    self._open(remaining)
                    for request in flying:
                        if request.outcome is None and request.published_on != self._connections:
                            self._publish(request)
                    self._read(min(remaining, _TICK_SECONDS))
                    pause = 0.05
                except DomainError as error:
                    self._drop()
                    awaited.outcome = error
                except ChannelError as error:
                    self._drop()
                    self._refuse(error, awaited, flying)
                except _LOST as error:
                    self._last_loss = str(error) or type(error).__name__
                    self._drop()
                    self._broker.maybe_switch_next()
                    time.sleep(min(pause, max(0.0, awaited.deadline - time.monotonic())))
                    pause = min(pause * 2, 1.0)
            self._last_used = time.monotonic()

    def _open(self, remaining: float) -> None:
        idle = time.monotonic() - self._last_used
        if self._channel is not None and self._heartbeat and idle > self._heartbeat:
            # Nobody sent heartbeats while the caller was idle: the broker may have given the link up.
            self._drop()
        if self._channel is not None:
            return
        self._broker.connect_timeout = min(float(_CONNECT_SECONDS), remaining)
        try:
            self._amqp = self._broker.transport.establish_connection()
        except (amqp.AccessRefused, amqp.NotAllowed) as error:
            raise NotAllowed(
                f"消息代理 {self.address} 不接受账号 {self.account}：账号、密码或虚拟主机不对"
                f" / the broker refuses this account: {error.reply_text}"
            ) from error
        with self._amqp.transport.having_timeout(min(_CONNECT_SECONDS, remaining)):
            channel = self._amqp.channel()
            channel.events["basic_return"].add(self._on_return)
            channel.basic_consume(DIRECT_REPLY_TO, no_ack=True, callback=self._on_reply)
        self._channel = channel
        self._connections += 1
        self._last_used = self._last_tick = time.monotonic()
        self._last_loss = ""

    def _publish(self, request: _Request) -> None:
        remaining = max(0.001, request.deadline - time.monotonic())
        message = amqp.Message(
            request.body,
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=request.correlation_id,
            reply_to=DIRECT_REPLY_TO,
            user_id=self.account,
            # A call nobody waits for any more is not carried out later.
            expiration=str(int(remaining * 1000) + 1),
            application_headers={"traceparent": request.traceparent},
        )
        with self._amqp.transport.having_timeout(remaining):
            self._channel.basic_publish(
                message, exchange=RPC_EXCHANGE, routing_key=request.routing_key, mandatory=True
            )
        request.published_on = self._connections

    def _read(self, seconds: float) -> None:
        try:
            self._amqp.drain_events(timeout=seconds)
        except TimeoutError:
            pass
        now = time.monotonic()
        self._last_used = now
        if now - self._last_tick >= _TICK_SECONDS:
            self._last_tick = now
            self._amqp.heartbeat_tick()

    def _on_reply(self, message: Any) -> None:
        request = self._pending.get(message.properties.get("correlation_id", ""))
        if request is None or request.outcome is not None:
            return
        try:
            answer = orjson.loads(message.body)
            error, result = answer.get("error"), answer.get("result")
        except (orjson.JSONDecodeError, AttributeError) as failure:
            error, result = {"exc_type": "InvalidAnswer", "value": f"{request.routing_key}: {failure}"}, None
        if error:
            request.outcome = from_wire(error)
        else:
            request.outcome = result if isinstance(result, dict) else {"result": result}

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        request = self._pending.get(message.properties.get("correlation_id", ""))
        if request is not None and request.outcome is None:
            service = routing_key.split(".")[0]
            request.outcome = NotReady(
                f"{service} 服务未启动，调用 {routing_key} 无人接收 / no service takes this call yet."
            )

    def _refuse(self, error: ChannelError, awaited: _Request, flying: Iterable[_Request]) -> None:
        """The broker closed the channel: the refused call ends so; the others will be published again."""
        topic = _REFUSED_TOPIC.search(str(error))
        refused = [
            request
            for request in flying
            if topic and request.routing_key == topic[1] and request.outcome is None
        ] or [awaited]
        for request in refused:
            request.outcome = self._refusal(error, request.routing_key)

    def _refusal(self, error: ChannelError, routing_key: str) -> DomainError:
        text = error.reply_text
        if isinstance(error, amqp.AccessRefused):
            return NotAllowed(
                f"账号 {self.account} 无权调用 {routing_key}："
                f"缺少对交换机 {RPC_EXCHANGE} 主题 {routing_key} 的写权限"
                f" / the broker refuses the call: {text}"
            )
        if isinstance(error, amqp.PreconditionFailed) and "user_id" in text:
            return NotAllowed(
                f"消息所称的账号不是连接的账号 {self.account} / the broker refuses a forged user_id: {text}"
            )
        if isinstance(error, amqp.NotFound):
            return NotReady(
                f"平台未启动，调用 {routing_key} 的交换机 {RPC_EXCHANGE} 不存在"
                f" / no service has started: {text}"
            )
        return NotReady(f"消息代理拒收 {routing_key} / the broker refused the call: {text}")

    def _timed_out(self, request: _Request) -> NotReady:
        if request.published_on is None or self._last_loss:
            return NotReady(
                f"调用 {request.routing_key} 未成：{request.seconds:g} 秒内连不上消息代理 {self.address}"
                f" / cannot reach the broker: {self._last_loss or 'no connection'}"
            )
        return NotReady(
            f"调用 {request.routing_key} 超时：{request.seconds:g} 秒内没有回答，可用同一编号再试"
            f" / no answer in {request.seconds:g} s; the same call may be repeated."
        )

    def _drop(self, *, gracefully: bool = False) -> None:
        connection, self._amqp, self._channel = self._amqp, None, None
        if connection is None:
            return
        try:
            if gracefully:
                with connection.transport.having_timeout(_CLOSE_SECONDS):
                    connection.close()
        except (TimeoutError, *_LOST):
            pass
        finally:
            connection.collect()
