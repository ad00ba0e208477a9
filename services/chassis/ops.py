"""What operators ask a process, on a port of its own: ``/health/live``, ``/health/ready``, ``/metrics``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import eventlet
import orjson
from eventlet import wsgi
from nameko.extensions import DependencyProvider
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pymongo.errors import PyMongoError

from services.chassis import mongo as mongo_module
from services.chassis.amqp import Consumer
from services.chassis.settings import settings


def consumers_of(container: Any) -> list[Consumer]:
    """The consumers of all the container's extensions."""
    found = [getattr(extension, "consumer", None) for extension in container.extensions]
    return list({id(consumer): consumer for consumer in found if isinstance(consumer, Consumer)}.values())


class Ops(DependencyProvider):
    """``ready`` is 200 while the database answers and every queue is consumed, else 503 with what is missing."""

    def setup(self) -> None:
        host, port = settings().ops_address.rsplit(":", 1)
        self.socket = eventlet.listen((host, int(port)))
        self.socket.settimeout(None)

    def start(self) -> None:
        self.thread = self.container.spawn_managed_thread(
            lambda: wsgi.server(self.socket, self._answer, log=logging.getLogger("ops"), log_output=False)
        )

    def stop(self) -> None:
        self.thread.kill()
        self.socket.close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
            return [generate_latest()]
        if path == "/health/live":
            return _json(start_response, "200 OK", {"status": "live"})
        if path == "/health/ready":
            missing = self.missing()
            return _json(
                start_response,
                "503 Service Unavailable" if missing else "200 OK",
                {"status": "not ready" if missing else "ready", "missing": missing},
            )
        return _json(
            start_response, "404 Not Found", {"error": "try /health/live, /health/ready or /metrics"}
        )

    def missing(self) -> list[str]:
        missing = [
            f"queue {consumer.queue} is not consumed"
            for consumer in consumers_of(self.container)
            if not consumer.connected
        ]
        try:
            mongo_module.shared().db.command("ping")
        except PyMongoError as error:
            missing.append(f"database: {error}")
        return missing


def _json(start_response: Callable[..., Any], status: str, body: dict[str, Any]) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [orjson.dumps(body)]
