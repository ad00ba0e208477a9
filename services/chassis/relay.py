"""The relay: publishes what the outbox holds, confirmed and mandatory, and clears what was confirmed.

Polling is the truth; a commit in this process only wakes it. A process relays its own events at once and whatever any
process left behind for ``ORPHAN_SECONDS``, so several replicas may relay side by side. An event published twice (a
crash between confirm and clearing) carries the same id, and its consumers apply it once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import eventlet
from eventlet.event import Event as Signal
from nameko.extensions import DependencyProvider
from pymongo.errors import PyMongoError

from services.chassis import mongo as mongo_module
from services.chassis.amqp import Outgoing, Publisher, PublishFailed
from services.chassis.clock import real_now
from services.chassis.log import log
from services.chassis.metrics import EVENTS_PUBLISHED, OUTBOX_OLDEST, OUTBOX_PENDING
from services.chassis.settings import settings
from services.contracts.envelope import CONTENT_TYPE

BATCH = 500
POLL_SECONDS = 1.0
ORPHAN_SECONDS = 3.0
FAILURE_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Relay(DependencyProvider):
    """Runs in every service process; handlers never publish."""

    def setup(self) -> None:
        config = settings()
        self.mongo = mongo_module.shared()
        self.mongo.ensure_indexes()
        self.mongo.on_commit = self.wake
        self.publisher = Publisher(config.amqp_uri, f"{config.service_name} relay", config.publish_timeout)
        self.stopping = False
        self.failures = 0
        self._signal = Signal()

    def start(self) -> None:
        self.thread = self.container.spawn_managed_thread(self._run)

    def stop(self) -> None:
        self.stopping = True
        self.wake()
        self.thread.wait()
        self.publisher.close()

    def wake(self) -> None:
        if not self._signal.ready():
            self._signal.send()

    def _run(self) -> None:
        while True:
            try:
                moved = self._pass()
                self.failures = 0
                if moved == BATCH:
                    continue
                pause = POLL_SECONDS
            except (PublishFailed, PyMongoError) as error:
                pause = FAILURE_DELAYS[min(self.failures, len(FAILURE_DELAYS) - 1)]
                self.failures += 1
                log("relay_failed", level="warning", error=repr(error), again_in=pause)
                if self.stopping:
                    return
                eventlet.sleep(pause)
                continue
            if self.stopping:
                return
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        with eventlet.Timeout(seconds, False):
            self._signal.wait()
        self._signal = Signal()
        self.publisher.keep_alive()

    def _pass(self) -> int:
        outbox = self.mongo.db["outbox"]
        due = {
            "$or": [
                {"owner": self.mongo.owner},
                {"at": {"$lt": real_now() - timedelta(seconds=ORPHAN_SECONDS)}},
            ]
        }
        waiting = list(outbox.find(due).sort("order", 1).limit(BATCH))
        self._measure(waiting)
        if not waiting:
            return 0
        confirmed = self.publisher.publish(
            [
                Outgoing(
                    id=doc["_id"],
                    exchange=doc["exchange"],
                    routing_key=doc["routing_key"],
                    body=bytes(doc["body"]),
                    content_type=CONTENT_TYPE,
                    type=doc["type"],
                    headers={"published-at": int(doc["at"].timestamp() * 1000)},
                )
                for doc in waiting
            ]
        )
        # the same id may have been stored again meanwhile: only the copy that was published is cleared
        published = [doc for doc in waiting if doc["_id"] in confirmed]
        if published:
            outbox.delete_many({"$or": [{"_id": doc["_id"], "order": doc["order"]} for doc in published]})
        for doc in published:
            EVENTS_PUBLISHED.labels(doc["type"]).inc()
        if len(published) < len(waiting):
            raise PublishFailed(
                f"{len(waiting) - len(published)} of {len(waiting)} events were not taken by any queue"
            )
        return len(waiting)

    def _measure(self, waiting: list[dict[str, Any]]) -> None:
        OUTBOX_PENDING.set(
            len(waiting) if len(waiting) < BATCH else self.mongo.db["outbox"].estimated_document_count()
        )
        OUTBOX_OLDEST.set((real_now() - waiting[0]["at"]).total_seconds() if waiting else 0)
