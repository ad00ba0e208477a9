"""Golden examples: one JSON file per contract that says what it looks like, tested by producer and consumers.

``<service>.<event>.v<version>.json`` is a whole envelope; ``rpc/<service>.<call>.json`` has ``params``,
``result`` and, where a refusal is worth showing, ``error``: the refused ``params`` and the wire's ``error``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.contracts.base import EventContract, RpcContract

FOLDER = Path(__file__).resolve().parent


def event_path(contract: EventContract) -> Path:
    return FOLDER / f"{contract.type}.json"


def call_path(contract: RpcContract) -> Path:
    return FOLDER / "rpc" / f"{contract.routing_key}.json"


def event(contract: EventContract) -> dict[str, Any]:
    """The golden envelope of an event. Raises FileNotFoundError naming the file that is missing."""
    return _read(event_path(contract))


def call(contract: RpcContract) -> dict[str, Any]:
    """The golden ``params``, ``result`` and perhaps ``error`` of a call. Raises FileNotFoundError."""
    return _read(call_path(contract))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
