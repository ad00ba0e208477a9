"""The envelope of every event: CloudEvents 1.0, structured JSON (``application/cloudevents+json``).

``id``, ``source`` (``/mingchuang/<service>``), ``type``, ``subject`` (the aggregate, ``window/1001``), ``time``,
``data``, and two extensions: ``aggregateversion`` (integer, grows with each event of the subject) and ``traceparent``
(W3C Trace Context). Outgoing ids are deterministic: the same cause yields the same id, however often it is handled.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from services.contracts.base import EventContract, Instant
from services.contracts.errors import InvalidPayload, flatten

CONTENT_TYPE = "application/cloudevents+json"
_NAMESPACE = uuid.UUID("6f1a9a0e-2b0d-5a53-9c57-5d2f1c1e2007")


class EnvelopeSchema(Schema):
    """CloudEvents 1.0 attributes; unknown extensions are ignored."""

    class Meta:
        unknown = EXCLUDE

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = fields.String(required=True, validate=validate.Length(1, 200))
    source = fields.String(required=True, validate=validate.Length(1, 200))
    type = fields.String(required=True, validate=validate.Length(1, 200))
    subject = fields.String(required=True, validate=validate.Length(1, 300))
    time = Instant(required=True)
    datacontenttype = fields.String(load_default="application/json")
    data = fields.Dict(required=True)
    aggregateversion = fields.Integer(required=True, strict=True)
    traceparent = fields.String(load_default="", validate=validate.Length(max=100))


_SCHEMA = EnvelopeSchema()


@dataclass(frozen=True)
class Event:
    """A validated event. ``data`` obeys the contract of ``type``."""

    id: str
    type: str
    source: str
    subject: str
    time: str
    version: int
    data: dict[str, Any]
    traceparent: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "aggregateversion": self.version,
            "traceparent": self.traceparent,
            "data": self.data,
        }


def deterministic_id(*parts: object) -> str:
    """The same parts give the same id (UUIDv5, RFC 9562)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


def new_event(
    contract: EventContract,
    *,
    subject: str,
    version: int,
    time: str,
    data: dict[str, Any],
    traceparent: str = "",
    cause: object = "",
) -> Event:
    """An outgoing event; its id follows from type, subject, version and cause."""
    return Event(
        id=deterministic_id(contract.type, subject, version, cause),
        type=contract.type,
        source=f"/mingchuang/{contract.service}",
        subject=subject,
        time=time,
        version=version,
        data=data,
        traceparent=traceparent,
    )


def encode(event: Event) -> bytes:
    return orjson.dumps(event.to_dict())


def decode(body: bytes, contracts: dict[str, EventContract]) -> Event:
    """The event of a message body. Raises InvalidPayload for bad JSON, a broken envelope, an unknown type or bad data."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"消息不是 JSON / not JSON: {error}", {"body": ["not JSON"]}) from error
    try:
        envelope = _SCHEMA.load(raw)
    except ValidationError as error:
        raise InvalidPayload(
            "信封不是 CloudEvents 1.0 / not a CloudEvents 1.0 envelope.", flatten(error.messages)
        ) from error
    contract = contracts.get(envelope["type"])
    if contract is None:
        known = ", ".join(sorted(contracts))
        raise InvalidPayload(
            f"未知的事件类型或版本 / unknown event type or version: {envelope['type']}; known here: {known}",
            {"type": [f"unknown: {envelope['type']}"]},
        )
    return Event(
        id=envelope["id"],
        type=envelope["type"],
        source=envelope["source"],
        subject=envelope["subject"],
        time=envelope["time"],
        version=envelope["aggregateversion"],
        data=contract.load(envelope["data"]),
        traceparent=envelope["traceparent"],
    )
