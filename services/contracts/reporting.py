"""What reporting answers: read models of the city and its windows."""

from __future__ import annotations

from marshmallow import Schema, fields

from services.contracts.base import EventContract, RpcContract
from services.contracts.inspection import NoParams
from services.contracts.scoring import WindowCall

SERVICE = "reporting"


class CampaignHead(Schema):
    """The campaign shown: the last opened one, in its highest version in effect on the clock's ``day``."""

    id = fields.String(required=True)
    version = fields.Integer(required=True)
    name = fields.String(required=True)
    name_en = fields.String(required=True)
    opens = fields.String(required=True)
    closes = fields.String(required=True)
    day = fields.String(required=True, allow_none=True)
    phase = fields.String(required=True, allow_none=True)


class Shift(Schema):
    """A change of ``open``, ``conforming``, ``verdict``, ``facility`` or ``quality``; None: no value."""

    what = fields.String(required=True)
    before = fields.Raw(required=True, allow_none=True)
    after = fields.Raw(required=True, allow_none=True)


class Change(Schema):
    """What one newer figure changed. ``at``: time of scoring's event; ``version``: of the figure."""

    at = fields.String(required=True)
    level = fields.String(required=True)
    code = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    shifts = fields.List(fields.Nested(Shift), required=True)


class IndustryLine(Schema):
    """An industry with open or past windows; without a figure as long as scoring gave none."""

    code = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    figure = fields.Dict(required=True, allow_none=True)


class CityReport(Schema):
    """``stamp`` grows with each change; ``changes`` are the latest, fifty at most, latest first.

    ``city`` and the industries' ``figure`` are scoring's own, unaltered (see ``ScoreChanged``).
    """

    campaign = fields.Nested(CampaignHead, required=True)
    stamp = fields.Integer(required=True)
    city = fields.Dict(required=True, allow_none=True)
    industries = fields.List(fields.Nested(IndustryLine), required=True)
    changes = fields.List(fields.Nested(Change), required=True)


class WindowHead(Schema):
    """A window as registered, without its contact."""

    code = fields.String(required=True)
    name = fields.String(required=True)
    unit = fields.String(required=True)
    unit_name = fields.String(required=True)
    industry = fields.String(required=True)
    industry_name = fields.String(required=True)
    district = fields.String(required=True)
    address = fields.String(required=True)
    opened_on = fields.String(required=True)
    closed_on = fields.String(required=True, allow_none=True)


class WindowReport(Schema):
    """``version`` 0 with neither figure nor explanation: registered, but scoring gave no figure yet."""

    window = fields.Nested(WindowHead, required=True)
    version = fields.Integer(required=True)
    figure = fields.Dict(required=True, allow_none=True)
    explanation = fields.Dict(required=True, allow_none=True)


EVENTS: tuple[EventContract, ...] = ()
city_report = RpcContract(
    SERVICE,
    "city_report",
    "read",
    NoParams,
    CityReport,
    "The city's read model, as on its page.",
    ("NotReady",),
)
window_report = RpcContract(
    SERVICE,
    "window_report",
    "read",
    WindowCall,
    WindowReport,
    "A window's read model, as on its page.",
    ("InvalidPayload", "NotFound", "NotReady"),
)

RPCS = (city_report, window_report)
