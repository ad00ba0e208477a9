"""What a contract is: an event (a fact, past tense) or an RPC (an order or a read) with its marshmallow schemas."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields

from services.contracts.errors import InvalidPayload, flatten

_INSTANT = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$")


def instant_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, cut (not rounded): the one form an instant has on the wire."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_instant(text: str) -> datetime:
    """The aware UTC datetime of a wire instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


class Instant(fields.String):
    """RFC 3339 with an offset; loaded as text in UTC cut to milliseconds (``2007-03-01T01:30:00.000Z``)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text is None or not _INSTANT.match(text):
            raise ValidationError(
                "须为带时区的时间，如 2007-03-01T09:30:00+08:00 / not an RFC 3339 time with offset"
            )
        try:
            return instant_text(parse_instant(text))
        except (ValueError, OverflowError) as error:
            raise ValidationError(f"时间无效 / not a valid time: {error}") from error


class Day(fields.String):
    """An ISO calendar day in Asia/Shanghai, kept as text (``2007-03-01``)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return date.fromisoformat(text or "").isoformat()
        except ValueError as error:
            raise ValidationError("须为日期，如 2007-03-01 / not an ISO date") from error


class Fact(Schema):
    """Base of event data: a consumer ignores fields it does not know."""

    class Meta:
        unknown = EXCLUDE


class Call(Schema):
    """Base of RPC parameters: an unknown field is refused."""

    class Meta:
        unknown = RAISE


@dataclass(frozen=True)
class EventContract:
    """One version of one event. ``schema`` validates the envelope's ``data``."""

    service: str
    name: str
    version: int
    schema: type[Schema]
    doc: str
    _loaded: list[Schema] = field(default_factory=list, compare=False, repr=False)

    @property
    def routing_key(self) -> str:
        return f"{self.name}.v{self.version}"

    @property
    def type(self) -> str:
        """CloudEvents ``type``: ``inspection.visit_recorded.v1``."""
        return f"{self.service}.{self.routing_key}"

    @property
    def exchange(self) -> str:
        return f"{self.service}.events"

    def load(self, data: Any) -> dict[str, Any]:
        """Validated data. Raises InvalidPayload naming each field and reason."""
        return _load(
            self.schema,
            data,
            self._loaded,
            f"事件 {self.type} 的数据不合契约 / event data breaks the contract.",
        )


@dataclass(frozen=True)
class RpcContract:
    """One RPC. ``kind``: ``read`` (anyone the broker lets in) or ``order`` (needs a known caller)."""

    service: str
    name: str
    kind: str
    params: type[Schema]
    result: type[Schema]
    doc: str
    errors: tuple[str, ...] = ("InvalidPayload",)
    _loaded: list[Schema] = field(default_factory=list, compare=False, repr=False)

    @property
    def routing_key(self) -> str:
        return f"{self.service}.{self.name}"

    def load(self, data: Any) -> dict[str, Any]:
        """Validated parameters. Raises InvalidPayload naming each field and reason."""
        return _load(
            self.params,
            data,
            self._loaded,
            f"{self.routing_key} 的参数不合契约 / parameters break the contract.",
        )


def _load(schema: type[Schema], data: Any, cache: list[Schema], message: str) -> dict[str, Any]:
    if not cache:
        cache.append(schema())
    try:
        loaded: dict[str, Any] = cache[0].load(data)
        return loaded
    except ValidationError as error:
        raise InvalidPayload(message, flatten(error.messages)) from error
