"""Domain errors: part of every RPC contract (the only errors a caller ever sees).

On the wire an error has nameko's own shape, ``{"exc_type", "exc_path", "exc_args", "value"}``, so that a stock nameko
client raises ``RemoteError('InvalidPayload', …)`` and this project's client raises the class itself.
``exc_args`` is ``[message, fields]`` where ``fields`` maps a field's path (``answers.3.value``) to a list of reasons.
"""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """Base of all errors a caller may get. ``message``: what is wrong and what to do; ``fields``: path → reasons."""

    def __init__(self, message: str, fields: dict[str, list[str]] | None = None) -> None:
        super().__init__(message, fields or {})
        self.message = message
        self.fields: dict[str, list[str]] = fields or {}

    def __str__(self) -> str:
        if not self.fields:
            return self.message
        return (
            self.message + " " + "; ".join(f"{path}: {', '.join(why)}" for path, why in self.fields.items())
        )


class InvalidPayload(DomainError):
    """The payload breaks the contract or a rule; ``fields`` names each place and reason. Nothing was stored."""


class NotFound(DomainError):
    """What the call names does not exist."""


class Conflict(DomainError):
    """The same id was used before with another body, or the version is not the current one. Nothing was changed."""


class NotAllowed(DomainError):
    """The caller may not do this, or is not known (RabbitMQ's validated ``user_id`` is missing)."""


class NotReady(DomainError):
    """The service cannot answer now; the same call may succeed later."""


DOMAIN_ERRORS: dict[str, type[DomainError]] = {
    cls.__name__: cls for cls in (InvalidPayload, NotFound, Conflict, NotAllowed, NotReady)
}


def to_wire(error: DomainError) -> dict[str, Any]:
    """The error as nameko puts it in a reply's ``error``."""
    name = type(error).__name__
    return {
        "exc_type": name,
        "exc_path": f"services.contracts.errors.{name}",
        "exc_args": [error.message, error.fields],
        "value": str(error),
    }


def from_wire(error: dict[str, Any]) -> DomainError:
    """The error of a reply; a type this contract does not know becomes ``NotReady`` with its text."""
    args = error.get("exc_args") or [error.get("value", "")]
    cls = DOMAIN_ERRORS.get(str(error.get("exc_type")))
    if cls is None:
        return NotReady(f"{error.get('exc_type')}: {error.get('value')}")
    fields = args[1] if len(args) > 1 and isinstance(args[1], dict) else {}
    return cls(str(args[0]), fields)


def flatten(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Marshmallow's nested messages as ``path → reasons``."""
    if isinstance(messages, dict):
        flat: dict[str, list[str]] = {}
        for key, inner in messages.items():
            here = path if key == "_schema" else f"{path}.{key}" if path else str(key)
            for where, why in flatten(inner, here).items():
                flat.setdefault(where, []).extend(why)
        return flat
    reasons = messages if isinstance(messages, list) else [messages]
    return {path or "payload": [str(reason) for reason in reasons]}
