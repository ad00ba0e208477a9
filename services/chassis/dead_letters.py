"""Dead letters: kept in the service's own database with their cause, listed, shown and replayed, never dropped."""

from __future__ import annotations

import hashlib
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from pymongo.errors import PyMongoError

from services.chassis import mongo as mongo_module
from services.chassis.amqp import Consumer, Delivery, Outgoing
from services.chassis.clock import real_now
from services.chassis.events import publisher
from services.chassis.log import log
from services.chassis.metrics import DEAD_LETTERS, DEAD_LETTERS_WAITING
from services.chassis.settings import settings
from services.chassis.topology import dead_letter_queue, retry_exchange
from services.contracts.base import instant_text
from services.contracts.errors import NotFound


class DeadLetters(DependencyProvider):
    """Stores what arrives on the service's dead-letter queue."""

    def setup(self) -> None:
        config = settings()
        self.letters = mongo_module.shared().db["dead_letters"]
        self.replay_exchange = retry_exchange(config.retry_delays[0])
        self.consumer = Consumer(
            config.amqp_uri,
            dead_letter_queue(self.container.service_name),
            self._store,
            prefetch=50,
            batch=50,
            spawn=self.container.spawn_managed_thread,
        )

    def start(self) -> None:
        self.consumer.start()

    def stop(self) -> None:
        self.consumer.stop()

    def kill(self) -> None:
        self.consumer.kill()

    def get_dependency(self, worker_ctx: Any) -> DeadLetters:
        return self

    def _store(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            document = _document(delivery)
            while True:
                try:
                    written = self.letters.update_one(
                        {"_id": document["_id"]}, {"$setOnInsert": document}, upsert=True
                    )
                    break
                except PyMongoError as error:
                    log("dead_letter_waits", level="warning", error=repr(error))
                    if self.consumer.stopping:
                        return
                    eventlet.sleep(1)
            if written.upserted_id is not None:
                DEAD_LETTERS.labels(document["queue"], document["cause"]).inc()
        self.consumer.ack(deliveries[-1], multiple=True)
        DEAD_LETTERS_WAITING.set(self.waiting())

    def waiting(self) -> int:
        return self.letters.count_documents({"state": "waiting"})

    def list(self, state: str, limit: int) -> dict[str, Any]:
        """Newest first, without bodies."""
        wanted = {} if state == "all" else {"state": state}
        found = self.letters.find(wanted, {"body": 0}).sort("at", -1).limit(limit)
        return {"dead_letters": [_plain(doc) for doc in found], "total": self.letters.count_documents(wanted)}

    def show(self, letter: str) -> dict[str, Any]:
        """One, with its body as text. Raises NotFound."""
        return {"dead_letter": _plain(self._get(letter))}

    def replay(self, letter: str) -> dict[str, Any]:
        """Put it back on the queue it came from. Raises NotFound, PublishFailed."""
        doc = self._get(letter)
        publisher().publish_one(
            Outgoing(
                id=f"replay-{doc['_id']}",
                exchange=self.replay_exchange,
                routing_key=doc["queue"],
                body=bytes(doc["body"]),
                content_type=doc["content_type"],
                type=doc["type"],
                headers={"original-routing-key": doc["routing_key"]},
            )
        )
        self.letters.update_one({"_id": letter}, {"$set": {"state": "replayed", "replayed_at": real_now()}})
        DEAD_LETTERS_WAITING.set(self.waiting())
        return self.show(letter)

    def _get(self, letter: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.letters.find_one({"_id": letter})
        if found is None:
            raise NotFound(f"没有这封死信 / no such dead letter: {letter}")
        return found


def _document(delivery: Delivery) -> dict[str, Any]:
    headers = delivery.headers
    deaths = headers.get("x-death") or [{}]
    queue = headers.get("queue") or deaths[0].get("queue", "")
    digest = hashlib.sha256(queue.encode() + b"\0" + delivery.body).hexdigest()[:32]
    return {
        "_id": delivery.properties.get("message_id") if headers.get("queue") else digest,
        "queue": queue,
        "routing_key": headers.get("original-routing-key") or delivery.routing_key,
        "type": delivery.properties.get("type", ""),
        "cause": headers.get("cause") or f"delivery-limit ({deaths[0].get('reason', 'poison')})",
        "error": headers.get("error", "the process died each time it held this message"),
        "fields": [{"field": path, "reason": why} for path, why in (headers.get("fields") or {}).items()],
        "attempts": headers.get("attempts", deaths[0].get("count", 1)),
        "content_type": delivery.properties.get("content_type", ""),
        "body": delivery.body,
        "state": "waiting",
        "at": real_now(),
    }


def _plain(doc: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in doc.items() if key not in ("_id", "body", "at", "replayed_at")}
    plain["id"] = doc["_id"]
    plain["at"] = instant_text(doc["at"])
    if "replayed_at" in doc:
        plain["replayed_at"] = instant_text(doc["replayed_at"])
    if "body" in doc:
        plain["body"] = bytes(doc["body"]).decode("utf-8", "replace")
    return plain
