"""RPCs that every service answers, for operators: its status and its dead letters."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from services.contracts.base import Call, RpcContract
from services.contracts.inspection import NoParams, identifier


class StatusResult(Schema):
    """``counts``: documents per collection; ``outbox``: events not yet confirmed; ``dead_letters``: not yet replayed;
    ``queued``: messages waiting in the service's queues; ``retrying``: messages waiting for a delayed retry."""

    service = fields.String(required=True)
    now = fields.String(required=True)
    outbox = fields.Integer(required=True)
    dead_letters = fields.Integer(required=True)
    queued = fields.Integer(required=True)
    retrying = fields.Integer(required=True)
    counts = fields.Dict(required=True)


class DeadLettersCall(Call):
    state = fields.String(load_default="waiting", validate=validate.OneOf(["waiting", "replayed", "all"]))
    limit = fields.Integer(strict=True, load_default=50, validate=validate.Range(1, 500))


class DeadLetterCall(Call):
    dead_letter = identifier()


class DeadLettersResult(Schema):
    dead_letters = fields.List(fields.Dict(), required=True)
    total = fields.Integer(required=True)


class DeadLetterResult(Schema):
    dead_letter = fields.Dict(required=True)


OPERATIONS = ("status", "dead_letters", "dead_letter", "replay_dead_letter")


def operations(service: str) -> tuple[RpcContract, ...]:
    """The operator's RPCs of one service."""
    return (
        RpcContract(service, "status", "read", NoParams, StatusResult, "Backlogs and counts of the service."),
        RpcContract(
            service,
            "dead_letters",
            "read",
            DeadLettersCall,
            DeadLettersResult,
            "Dead letters, newest first, with their cause.",
        ),
        RpcContract(
            service,
            "dead_letter",
            "read",
            DeadLetterCall,
            DeadLetterResult,
            "One dead letter with body, headers and cause.",
            ("InvalidPayload", "NotFound"),
        ),
        RpcContract(
            service,
            "replay_dead_letter",
            "order",
            DeadLetterCall,
            DeadLetterResult,
            "Put a dead letter back on its queue.",
            ("InvalidPayload", "NotFound", "NotAllowed"),
        ),
    )
