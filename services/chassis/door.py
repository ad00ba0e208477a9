"""The RPC door: nameko's wire protocol, each call validated against its contract, answered with domain errors only.

The caller is RabbitMQ's validated ``user_id``; who does not set it may only read. What each account may call is
limited before that by the broker's topic permissions on ``nameko-rpc`` (``topology.py``).
"""

from __future__ import annotations

import re
import time
from typing import Any

import orjson
from amqp.basic_message import Message as AmqpMessage
from eventlet.event import Event as Signal
from nameko.extensions import Entrypoint, ProviderCollector, SharedExtension
from pymongo.errors import PyMongoError

from services.chassis import trace
from services.chassis.amqp import Consumer, Delivery, PublishFailed
from services.chassis.log import log
from services.chassis.metrics import RPC_SECONDS
from services.chassis.settings import settings
from services.chassis.topology import RPC_EXCHANGE, rpc_queue
from services.contracts.base import RpcContract
from services.contracts.catalogue import RPCS
from services.contracts.errors import DomainError, InvalidPayload, NotAllowed, NotFound, NotReady, to_wire

MAX_BODY = 4 * 1024 * 1024
WORKERS = 20
_REPLY_KEY = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
_DIRECT_REPLY = "amq.rabbitmq.reply-to"


class Door(SharedExtension, ProviderCollector):
    """Consumes ``rpc-<service>`` and lets each call in by its routing key."""

    def setup(self) -> None:
        name = self.container.service_name
        self.consumer = Consumer(
            settings().amqp_uri,
            rpc_queue(name),
            self._handle,
            prefetch=WORKERS * 2,
            batch=1,
            workers=WORKERS,
            spawn=self.container.spawn_managed_thread,
        )
        self.started = False

    def start(self) -> None:
        if not self.started:
            self.started = True
            self.methods = {entrypoint.contract.routing_key: entrypoint for entrypoint in self._providers}
            self.consumer.start()

    def stop(self) -> None:
        self.consumer.stop()
        super().stop()

    def kill(self) -> None:
        self.consumer.kill()

    def _handle(self, deliveries: list[Delivery]) -> None:
        [delivery] = deliveries
        started = time.monotonic()
        trace.enter(trace.child_of(str(delivery.headers.get("traceparent", ""))))
        outcome = "ok"
        try:
            answer = orjson.dumps({"result": self._call(delivery), "error": None}, default=str)
        except DomainError as error:
            outcome = type(error).__name__
            answer = orjson.dumps({"result": None, "error": to_wire(error)})
        log("rpc", level="debug", call=delivery.routing_key, caller=_caller(delivery), outcome=outcome)
        self._reply(delivery, answer)
        self.consumer.ack(delivery)
        known = delivery.routing_key if delivery.routing_key in self.methods else "unknown"
        RPC_SECONDS.labels(known, outcome).observe(time.monotonic() - started)

    def _call(self, delivery: Delivery) -> Any:
        entrypoint = self.methods.get(delivery.routing_key)
        if entrypoint is None:
            raise NotFound(
                f"没有这个调用 / no such call: {delivery.routing_key}; known: {', '.join(sorted(self.methods))}"
            )
        contract, caller = entrypoint.contract, _caller(delivery)
        if contract.kind == "order" and not caller:
            raise NotAllowed(
                f"{contract.routing_key} 需要经 RabbitMQ 验证的 user_id / set the message's user_id to the account's name"
            )
        payload = contract.load(_parameters(delivery))
        done = Signal()

        def finished(worker_ctx: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
            done.send((result, exc_info[1] if exc_info else None))
            return result, exc_info

        context = {"caller": caller, "traceparent": trace.current()}
        self.container.spawn_worker(entrypoint, (payload,), {}, context_data=context, handle_result=finished)
        result, error = done.wait()
        if error is None:
            return result
        if isinstance(error, DomainError):
            raise error
        log(
            "rpc_failed",
            level="error",
            call=delivery.routing_key,
            error=repr(error),
            exc_info=(type(error), error, error.__traceback__),
        )
        what = (
            "数据库或消息代理暂不可用 / the database or the broker is away"
            if isinstance(error, PyMongoError | PublishFailed)
            else "内部错误 / internal error"
        )
        raise NotReady(
            f"{what}; 请稍后重试同一调用 / repeat the same call later (trace {trace.trace_id(trace.current())})"
        )

    def _reply(self, delivery: Delivery, answer: bytes) -> None:
        reply_to = str(delivery.properties.get("reply_to", ""))
        direct = reply_to.startswith(_DIRECT_REPLY)
        if not direct and not _REPLY_KEY.match(reply_to):
            return
        try:
            delivery.channel._basic_publish(
                AmqpMessage(
                    answer,
                    content_type="application/json",
                    content_encoding="utf-8",
                    correlation_id=delivery.properties.get("correlation_id", ""),
                ),
                exchange="" if direct else RPC_EXCHANGE,
                routing_key=reply_to,
            )
        except (
            Exception
        ) as error:  # the link broke: the call comes again, and the same call has the same answer
            log("reply_failed", level="warning", call=delivery.routing_key, error=repr(error))


def _caller(delivery: Delivery) -> str:
    return str(delivery.properties.get("user_id", "") or "")


def _parameters(delivery: Delivery) -> Any:
    if len(delivery.body) > MAX_BODY:
        raise InvalidPayload(
            f"请求太大 / the call is too large: {len(delivery.body)} bytes, at most {MAX_BODY}",
            {"body": ["too large"]},
        )
    content_type = delivery.properties.get("content_type", "")
    if content_type != "application/json":
        raise InvalidPayload(
            "content type must be application/json", {"content_type": [f"got {content_type!r}"]}
        )
    try:
        body = orjson.loads(delivery.body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"请求不是 JSON / not JSON: {error}", {"body": ["not JSON"]}) from error
    if not isinstance(body, dict) or body.get("args") or not isinstance(body.get("kwargs", {}), dict):
        raise InvalidPayload(
            'body must be {"args": [], "kwargs": {…}}: parameters by name', {"body": ["not nameko's form"]}
        )
    return body.get("kwargs", {})


class Rpc(Entrypoint):
    """One RPC. ``contract`` or, for the operator's calls of every service, their name in ``operation``."""

    door = Door()

    def __init__(self, contract: RpcContract | None = None, operation: str = "", **kwargs: Any) -> None:
        self.contract = contract
        self.operation = operation
        super().__init__(expected_exceptions=(DomainError,), **kwargs)

    def setup(self) -> None:
        if self.contract is None:
            self.contract = RPCS[f"{self.container.service_name}.{self.operation}"]
        self.door.register_provider(self)

    def stop(self) -> None:
        self.door.unregister_provider(self)


def rpc(contract: RpcContract) -> Any:
    """The method gets the validated parameters as one dict and returns the result; it raises domain errors."""
    return Rpc.decorator(contract)


def operation(name: str) -> Any:
    """An operator's call that every service answers (``contracts/operations.py``)."""
    return Rpc.decorator(operation=name)
