"""What scoring publishes and answers: figures per window, industry and city, conformity and verdicts."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from services.contracts.base import Call, Day, EventContract, Fact, RpcContract
from services.contracts.inspection import NoParams, identifier

SERVICE = "scoring"
LEVELS = ("window", "industry", "city")
VERDICTS = ("met", "missed", "insufficient")


class ScoreChanged(Fact):
    """The figure of a window, industry or the city in its latest version; a consumer keeps the highest ``version``.

    ``figure`` and ``explanation`` have the shapes of ``services/scoring/domain/presentation.py``: figures are text with
    two decimals, ratios text, counts integers. ``explanation`` is there for windows only.
    """

    level = fields.String(required=True, validate=validate.OneOf(LEVELS))
    code = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    campaign = fields.String(required=True)
    figure = fields.Dict(required=True)
    explanation = fields.Dict(allow_none=True, load_default=None)


class ConformityChanged(Fact):
    """A window came to conform, or ceased to (clause 一.1)."""

    level = fields.String(required=True, validate=validate.OneOf(LEVELS))
    code = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    campaign = fields.String(required=True)
    conforming = fields.Boolean(required=True)
    gaps = fields.List(fields.Dict(), load_default=list)


class VerdictChanged(Fact):
    """The daily look at satisfaction gave another verdict (clause 一.2)."""

    level = fields.String(required=True, validate=validate.OneOf(LEVELS))
    code = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    campaign = fields.String(required=True)
    verdict = fields.String(required=True, validate=validate.OneOf(VERDICTS))
    previous = fields.String(allow_none=True, load_default=None)
    day = Day(required=True)
    satisfaction = fields.Dict(required=True)


class WindowCall(Call):
    window = identifier()


class IndustryCall(Call):
    industry = identifier()


class ScoreResult(Schema):
    level = fields.String(required=True)
    code = fields.String(required=True)
    version = fields.Integer(required=True)
    figure = fields.Dict(required=True)


class Explanation(Schema):
    code = fields.String(required=True)
    figure = fields.Dict(required=True)
    explanation = fields.Dict(required=True)


class VerifyResult(Schema):
    """``state``: the stored figures against a rebuild; ``facts``: scoring's facts against inspection's, per day."""

    state = fields.String(required=True, validate=validate.OneOf(["equal", "different"]))
    facts = fields.String(required=True, validate=validate.OneOf(["equal", "different", "unknown"]))
    differences = fields.List(fields.Dict(), required=True)
    visits = fields.Integer(required=True)
    ratings = fields.Integer(required=True)
    windows = fields.Integer(required=True)


score_changed = EventContract(SERVICE, "score_changed", 1, ScoreChanged, "A figure changed.")
conformity_changed = EventContract(
    SERVICE,
    "conformity_changed",
    1,
    ConformityChanged,
    "A window came to conform or ceased to (clause 一.1).",
)
verdict_changed = EventContract(
    SERVICE, "verdict_changed", 1, VerdictChanged, "The verdict on the 95 % target changed (clause 一.2)."
)

EVENTS = (score_changed, conformity_changed, verdict_changed)

_READ = ("InvalidPayload", "NotFound")
window_score = RpcContract(
    SERVICE, "window_score", "read", WindowCall, ScoreResult, "A window's figure.", _READ
)
industry_score = RpcContract(
    SERVICE, "industry_score", "read", IndustryCall, ScoreResult, "An industry's figure.", _READ
)
city_score = RpcContract(SERVICE, "city_score", "read", NoParams, ScoreResult, "The city's figure.", _READ)
explain = RpcContract(
    SERVICE,
    "explain",
    "read",
    WindowCall,
    Explanation,
    "A window's figure down to each answer, rule, clause and policy version.",
    _READ,
)
verify = RpcContract(
    SERVICE,
    "verify",
    "read",
    NoParams,
    VerifyResult,
    "Compare the state with a rebuild, and the facts with inspection's own.",
    ("NotReady",),
)

RPCS = (window_score, industry_score, city_score, explain, verify)
