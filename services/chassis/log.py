"""Logs: one JSON object a line on standard output, with the service and the trace id."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson

from services.chassis import trace
from services.chassis.clock import real_now
from services.contracts.base import instant_text

_logger = logging.getLogger("mingchuang")


class JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": instant_text(real_now()),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace_id = trace.trace_id(trace.current())
        if trace_id:
            line["trace_id"] = trace_id
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(service: str, level: str) -> None:
    """Send every logger of the process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # nameko logs each expected domain error with its traceback, and amqp each frame's end: both are told by metrics here
    for name in ("nameko", "amqp", "kombu", "pymongo", "eventlet"):
        logging.getLogger(name).setLevel("ERROR")
    logging.getLogger("nameko.containers").setLevel("CRITICAL")


def log(message: str, *, level: str = "info", exc_info: Any = None, **facts: Any) -> None:
    """One line: ``message`` is a fixed phrase, everything that varies goes into ``facts``."""
    _logger.log(getattr(logging, level.upper()), message, extra={"facts": facts}, exc_info=exc_info)
