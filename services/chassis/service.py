"""What every service is: its context, the campaign clock, the relay, health and metrics, and the operator's calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nameko.extensions import DependencyProvider

from services.chassis import mongo as mongo_module
from services.chassis import trace
from services.chassis.clock import CampaignClock, real_now
from services.chassis.dead_letters import DeadLetters
from services.chassis.door import operation
from services.chassis.events import publisher
from services.chassis.ops import Ops, consumers_of
from services.chassis.relay import Relay
from services.chassis.settings import settings
from services.chassis.topology import retry_exchange
from services.contracts.base import instant_text


@dataclass(frozen=True)
class Context:
    """Who asked (RabbitMQ's validated user, or an event's source) and the trace this belongs to."""

    caller: str
    traceparent: str


class ContextProvider(DependencyProvider):
    def worker_setup(self, worker_ctx: Any) -> None:
        trace.enter(worker_ctx.data.get("traceparent") or trace.new_trace())

    def get_dependency(self, worker_ctx: Any) -> Context:
        return Context(worker_ctx.data.get("caller", ""), worker_ctx.data.get("traceparent", ""))


class ClockProvider(DependencyProvider):
    def setup(self) -> None:
        self.clock = CampaignClock(mongo_module.shared(), settings().clock == "driven")

    def get_dependency(self, worker_ctx: Any) -> CampaignClock:
        return self.clock


class StatusProvider(DependencyProvider):
    def get_dependency(self, worker_ctx: Any) -> StatusProvider:
        return self

    def status(self) -> dict[str, Any]:
        """Backlogs and counts (``contracts/operations.py``). Raises PublishFailed, PyMongoError."""
        config, db = settings(), mongo_module.shared().db
        consumers = consumers_of(self.container)
        retries = [retry_exchange(delay) for delay in config.retry_delays]
        sizes = publisher().queue_sizes([consumer.queue for consumer in consumers] + retries)
        names = sorted(db.list_collection_names(authorizedCollections=True))
        return {
            "service": config.service_name,
            "now": instant_text(real_now()),
            "outbox": db["outbox"].count_documents({}),
            "dead_letters": db["dead_letters"].count_documents({"state": "waiting"}),
            # the call itself is in hand on the RPC queue
            "queued": sum(
                sizes[consumer.queue] + consumer.in_hand
                for consumer in consumers
                if not consumer.queue.startswith("rpc-")
            ),
            "retrying": sum(sizes[name] for name in retries),
            "counts": {
                name: db[name].count_documents({})
                if name == "ledger"
                else db[name].estimated_document_count()
                for name in names
                if not name.startswith("system.")
            },
        }


class Service:
    """Base of the four services. ``name`` is the service's name everywhere: queues, database, account, metrics."""

    name: str

    context = ContextProvider()
    clock = ClockProvider()
    relay = Relay()
    ops = Ops()
    letters = DeadLetters()
    statuses = StatusProvider()

    @operation("status")
    def status(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.statuses.status()

    @operation("dead_letters")
    def dead_letters(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.letters.list(payload["state"], payload["limit"])

    @operation("dead_letter")
    def dead_letter(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.letters.show(payload["dead_letter"])

    @operation("replay_dead_letter")
    def replay_dead_letter(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.letters.replay(payload["dead_letter"])
