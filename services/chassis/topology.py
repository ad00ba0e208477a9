"""The broker's exchanges, queues, policies and accounts, derived from the contracts and the services' entrypoints.

Everything is declared at deploy (``definitions`` is what RabbitMQ imports); services only check that it is there.
Queue types and limits are arguments once and for all; what may change later (delivery limit, dead-letter target) is a
policy, so that a change of it never makes a declaration fail.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import re
from typing import Any

from services.chassis.settings import retry_delays
from services.contracts.catalogue import RPCS, SERVICES
from services.contracts.operations import OPERATIONS

RPC_EXCHANGE = "nameko-rpc"
DEAD_LETTER_EXCHANGE = "dead-letters"
DELIVERY_LIMIT = 50
_REPLY_KEY = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

#: Calls a service makes of another one outside the way of an event.
SERVICE_CALLS: dict[str, tuple[str, ...]] = {"scoring": ("inspection.fact_digest",)}

_READS = tuple(
    key for key, contract in RPCS.items() if contract.kind == "read" and contract.name not in OPERATIONS
)
_OPERATIONS = tuple(key for key, contract in RPCS.items() if contract.name in OPERATIONS)
#: What each caller's account may call; RabbitMQ refuses the rest.
CALLERS: dict[str, tuple[str, ...]] = {
    "office": tuple(RPCS),
    "hotline": (*_READS, "inspection.record_ratings", "inspection.withdraw_rating"),
    "reader": tuple(key for key in _READS if key != "notification.messages"),
    "operator": (*_READS, *_OPERATIONS),
}

_TAGS = {"administrator": "administrator", "operator": "monitoring"}


def rpc_queue(service: str) -> str:
    return f"rpc-{service}"


def dead_letter_queue(service: str) -> str:
    return f"{service}.dead-letters"


def retry_exchange(delay: float) -> str:
    return f"retry.{round(delay * 1000)}ms"


def consumers(service: str, module: str = "") -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Queue → (handler, [(exchange, routing key)…]) of a service, read from the entrypoints of its module."""
    from services.chassis.run import service_class  # imports nameko: not needed by whoever only wants names

    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    cls = service_class(importlib.import_module(module or f"services.{service}.service"))
    for name in dir(cls):
        for entrypoint in getattr(getattr(cls, name), "nameko_entrypoints", ()):
            if hasattr(entrypoint, "contracts"):
                bindings = [(contract.exchange, contract.routing_key) for contract in entrypoint.contracts]
                found[entrypoint.queue_name(service, name)] = (name, bindings)
    return found


def definitions(passwords: dict[str, str], modules: dict[str, str] | None = None) -> dict[str, Any]:
    """RabbitMQ definitions for the virtual host ``/``.

    ``passwords`` by account: services, callers and ``administrator``. ``modules``: service → module with its
    entrypoints, where they are not the platform's own four.
    """
    modules = (
        modules if modules is not None else {service: f"services.{service}.service" for service in SERVICES}
    )
    delays = retry_delays(os.environ.get("RETRY_DELAYS"))
    exchanges = [_exchange(RPC_EXCHANGE, "topic"), _exchange(DEAD_LETTER_EXCHANGE, "direct")]
    queues: list[dict[str, Any]] = []
    bindings: list[dict[str, Any]] = []
    policies: list[dict[str, Any]] = []
    for delay in delays:
        name = retry_exchange(delay)
        exchanges.append(_exchange(name, "fanout"))
        queues.append(_queue(name))
        bindings.append(_binding(name, name, ""))
        # dead-lettering through the default exchange keeps the routing key, which is the queue to come back to
        policies.append(
            _policy(
                name,
                f"^{re.escape(name)}$",
                {
                    "message-ttl": round(delay * 1000),
                    "dead-letter-exchange": "",
                    "dead-letter-strategy": "at-least-once",
                    "overflow": "reject-publish",
                },
            )
        )
    for service in SERVICES:
        exchanges.append(_exchange(f"{service}.events", "topic"))
        queues += [_queue(rpc_queue(service)), _queue(dead_letter_queue(service))]
        bindings += [
            _binding(RPC_EXCHANGE, rpc_queue(service), f"{service}.*"),
            _binding(DEAD_LETTER_EXCHANGE, dead_letter_queue(service), service),
        ]
        for queue, (_, bound) in (consumers(service, modules[service]) if service in modules else {}).items():
            queues.append(_queue(queue))
            bindings += [_binding(exchange, queue, key) for exchange, key in bound]
        policies.append(
            _policy(
                f"{service}.poison",
                f"^({service}\\.(?!events$|dead-letters$).*)$",
                {
                    "delivery-limit": DELIVERY_LIMIT,
                    "dead-letter-exchange": DEAD_LETTER_EXCHANGE,
                    "dead-letter-routing-key": service,
                    "dead-letter-strategy": "at-least-once",
                    "overflow": "reject-publish",
                },
            )
        )
    users, permissions, topic_permissions = _accounts(passwords)
    return {
        "rabbit_version": "3.10.8",
        "vhosts": [{"name": "/"}],
        "users": users,
        "permissions": permissions,
        "topic_permissions": topic_permissions,
        "parameters": [],
        "policies": policies,
        "exchanges": exchanges,
        "queues": queues,
        "bindings": bindings,
    }


def _accounts(
    passwords: dict[str, str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    users, permissions, topics = [], [], []
    for user, password in passwords.items():
        users.append(
            {
                "name": user,
                "password_hash": _password_hash(user, password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": _TAGS.get(user, ""),
            }
        )
        if user == "administrator":
            permissions.append({"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"})
            continue
        if user in SERVICES:
            own = re.escape(user)
            configure = "^$"
            write = f"^({own}\\.events|retry\\..*|{DEAD_LETTER_EXCHANGE}|{RPC_EXCHANGE}|amq\\.default)$"
            read = f"^({own}\\.(?!events$).*|{rpc_queue(user)}|retry\\..*)$"
            keys = "|".join((_REPLY_KEY, *(re.escape(key) for key in SERVICE_CALLS.get(user, ()))))
        else:
            # nameko's standalone client declares its reply queue and the exchange; the reader's account is for it
            stock = user == "reader"
            configure = f"^(rpc\\.reply-.*|{RPC_EXCHANGE})$" if stock else "^$"
            write = f"^({RPC_EXCHANGE}|rpc\\.reply-.*)$" if stock else f"^{RPC_EXCHANGE}$"
            read = f"^({RPC_EXCHANGE}|rpc\\.reply-.*)$" if stock else "^$"
            keys = "|".join(re.escape(key) for key in CALLERS.get(user, ())) or "^$"
        permissions.append({"user": user, "vhost": "/", "configure": configure, "write": write, "read": read})
        topics.append(
            {
                "user": user,
                "vhost": "/",
                "exchange": RPC_EXCHANGE,
                "write": f"^({keys})$",
                "read": f"^{_REPLY_KEY}$",
            }
        )
    return users, permissions, topics


def _password_hash(user: str, password: str) -> str:
    salt = hashlib.sha256(f"{user}:{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _exchange(name: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": "/",
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queue(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": "/",
        "durable": True,
        "auto_delete": False,
        "arguments": {"x-queue-type": "quorum"},
    }


def _binding(exchange: str, queue: str, key: str) -> dict[str, Any]:
    return {
        "source": exchange,
        "vhost": "/",
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }


def _policy(name: str, pattern: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "vhost": "/",
        "name": name,
        "pattern": pattern,
        "apply-to": "queues",
        "definition": definition,
        "priority": 1,
    }
