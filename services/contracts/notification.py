"""What notification answers: the messages it owes, sent and failed."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from services.contracts.base import Call, EventContract, RpcContract
from services.contracts.inspection import identifier

SERVICE = "notification"
STATES = ("due", "sending", "sent", "failed")


class MessagesCall(Call):
    """Newest first; ``after`` is the ``next`` of the page before."""

    state = fields.String(validate=validate.OneOf(STATES), load_default=None, allow_none=True)
    recipient = fields.String(load_default=None, allow_none=True)
    event = fields.String(load_default=None, allow_none=True)
    limit = fields.Integer(strict=True, load_default=50, validate=validate.Range(1, 500))
    after = fields.String(load_default=None, allow_none=True)


class MessagesResult(Schema):
    messages = fields.List(fields.Dict(), required=True)
    counts = fields.Dict(required=True)
    next = fields.String(allow_none=True)


class MessageCall(Call):
    message = identifier()


class MessageResult(Schema):
    message = fields.String(required=True)
    state = fields.String(required=True)


EVENTS: tuple[EventContract, ...] = ()
messages = RpcContract(
    SERVICE,
    "messages",
    "read",
    MessagesCall,
    MessagesResult,
    "Messages by state, recipient or event, with counts by state.",
)
resend = RpcContract(
    SERVICE,
    "resend",
    "order",
    MessageCall,
    MessageResult,
    "Send a message again, with the same Message-ID.",
    ("InvalidPayload", "NotFound", "NotAllowed"),
)

RPCS = (messages, resend)
