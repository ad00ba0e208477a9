"""What inspection publishes and answers: the facts and the campaign clock.

The facts: campaigns, the registry, visits and ratings.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from services.contracts.base import Call, Day, EventContract, Fact, Instant, RpcContract

SERVICE = "inspection"
MAX_RATINGS_PER_CALL = 500
MAX_ANSWERS = 200

_ID = validate.And(
    validate.Length(1, 100), validate.Regexp(r"^[\w.:\-]+$", error="只可用字母、数字和 . : _ - / bad id")
)


def identifier(**kwargs: Any) -> fields.String:
    return fields.String(required=kwargs.pop("required", True), validate=_ID, **kwargs)


class AnswerCall(Call):
    """One answer: exactly one of ``result``, ``value`` (scale), ``observed`` with ``of`` (count)."""

    item = identifier()
    result = fields.String(validate=validate.OneOf(["pass", "fail", "na"]))
    value = fields.Integer(strict=True, validate=validate.Range(min=0))
    observed = fields.Integer(strict=True, validate=validate.Range(min=0))
    of = fields.Integer(strict=True, validate=validate.Range(min=1))
    note = fields.String(validate=validate.Length(max=2000))
    photo = fields.String(validate=validate.Length(max=200))

    @validates_schema
    def exactly_one_form(self, data: dict[str, Any], **_: Any) -> None:
        forms = [name for name in ("result", "value", "observed") if name in data]
        if len(forms) != 1 or ("observed" in data) != ("of" in data):
            raise ValidationError(
                "须恰有 result、value、observed+of 之一 / exactly one of result, value, observed+of"
            )


class AnswerFact(AnswerCall):
    class Meta(Fact.Meta):
        pass


class FindingFact(Fact):
    """A failed required or critical item (row 34): what must be put right."""

    item = fields.String(required=True)
    name = fields.String(required=True)
    clause = fields.String(required=True)
    axis = fields.String(required=True)
    required = fields.Boolean(required=True)
    critical = fields.Boolean(required=True)
    note = fields.String(load_default="")
    photo = fields.String(load_default="")


class VisitBody(Call):
    """A visit as a supervisor reports it."""

    visit_id = identifier()
    campaign = identifier()
    campaign_version = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    window = identifier()
    supervisor = identifier()
    kind = fields.String(required=True, validate=validate.OneOf(["planned", "unannounced"]))
    occurred_at = Instant(required=True)
    answers = fields.List(fields.Nested(AnswerCall), required=True, validate=validate.Length(1, MAX_ANSWERS))


class AmendVisit(VisitBody):
    """The whole visit anew; ``version`` is the version being replaced + 1."""

    version = fields.Integer(required=True, strict=True, validate=validate.Range(min=2))
    reason = fields.String(required=True, validate=validate.Length(2, 500))


class VoidVisit(Call):
    visit_id = identifier()
    reason = fields.String(required=True, validate=validate.Length(2, 500))


class VisitFact(Fact):
    """A visit that counts. The highest version of a visit is in force; ``voided`` is terminal."""

    visit_id = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    campaign = fields.String(required=True)
    campaign_version = fields.Integer(required=True, strict=True)
    window = fields.String(required=True)
    supervisor = fields.String(required=True)
    kind = fields.String(required=True)
    occurred_at = Instant(required=True)
    recorded_at = Instant(required=True)
    voided = fields.Boolean(load_default=False)
    reason = fields.String(load_default="")
    answers = fields.List(fields.Nested(AnswerFact), required=True)
    findings = fields.List(fields.Nested(FindingFact), load_default=list)


class VisitVersion(Schema):
    """One version of a visit: who recorded it and when, and what it said."""

    version = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["recorded", "amended", "voided"]))
    recorded_at = Instant(required=True)
    recorded_by = fields.String(required=True)
    reason = fields.String(required=True)
    occurred_at = Instant(required=True)
    answers = fields.List(fields.Nested(AnswerFact), required=True)
    findings = fields.List(fields.Nested(FindingFact), required=True)


class VisitDetail(VisitFact):
    """A visit in its current version; ``history``: all its versions, the first first."""

    status = fields.String(required=True, validate=validate.OneOf(["recorded", "amended", "voided"]))
    history = fields.List(fields.Nested(VisitVersion), required=True)


class RatingCall(Call):
    """One citizen's rating. ``id`` is the source's own; ``voter`` a keyed hash, never a name or number."""

    id = identifier()
    window = identifier()
    channel = identifier()
    level = fields.Integer(required=True, strict=True, validate=validate.Range(1, 5))
    occurred_at = Instant(required=True)
    voter = fields.String(allow_none=True, validate=validate.Length(8, 128))
    default = fields.Boolean(load_default=False)


class RatingFact(Fact):
    id = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    window = fields.String(required=True)
    channel = fields.String(required=True)
    level = fields.Integer(required=True, strict=True)
    occurred_at = Instant(required=True)
    voter = fields.String(allow_none=True, load_default=None)
    withdrawn = fields.Boolean(load_default=False)


class RecordRatings(Call):
    """Up to 500 ratings; each is judged by itself (accepted, duplicate or rejected)."""

    batch_id = identifier()
    ratings = fields.List(fields.Dict(), required=True, validate=validate.Length(1, MAX_RATINGS_PER_CALL))


class RatingsRecorded(Fact):
    ratings = fields.List(fields.Nested(RatingFact), required=True, validate=validate.Length(min=1))


class RatingWithdrawn(Fact):
    rating = fields.Nested(RatingFact, required=True)
    reason = fields.String(load_default="")


class WithdrawRating(Call):
    rating_id = identifier()
    reason = fields.String(required=True, validate=validate.Length(2, 500))


class WindowFact(Fact):
    """A window as registered; ``version`` grows with each change of it."""

    code = fields.String(required=True)
    version = fields.Integer(required=True, strict=True)
    name = fields.String(required=True)
    unit = fields.String(required=True)
    unit_name = fields.String(required=True)
    industry = fields.String(required=True)
    industry_name = fields.String(required=True)
    district = fields.String(required=True)
    address = fields.String(load_default="")
    opened_on = Day(required=True)
    closed_on = Day(allow_none=True, load_default=None)
    contact_name = fields.String(load_default="")
    contact_email = fields.String(load_default="")


class WindowsRegistered(Fact):
    windows = fields.List(fields.Nested(WindowFact), required=True, validate=validate.Length(min=1))


class PublishCampaign(Call):
    campaign = fields.Dict(required=True)


class CampaignPublished(Fact):
    """One version of a campaign: the whole document (see ``contracts/campaign.py``)."""

    campaign = fields.Dict(required=True)


class ImportRegistry(Call):
    """``workbook``: an xlsx file, base64. The same file again changes nothing."""

    workbook = fields.String(required=True, validate=validate.Length(1, 4_000_000))


class ImportResult(Schema):
    imported = fields.Boolean(required=True)
    industries = fields.Integer()
    units = fields.Integer()
    windows = fields.Integer()
    supervisors = fields.Integer()
    changed_windows = fields.Integer()


class ClockAdvanced(Fact):
    """The campaign clock (Asia/Shanghai). ``completed_day``: the last day that is over."""

    now = Instant(required=True)
    day = Day(required=True)
    completed_day = Day(required=True)


class AdvanceClock(Call):
    to = Instant(required=True)


class NoParams(Call):
    pass


class GetVisit(Call):
    visit_id = identifier()


class FactDigestCall(Call):
    """Days from ``since`` to ``until`` (Shanghai days of occurrence), both included; absent: all."""

    since = Day(load_default=None, allow_none=True)
    until = Day(load_default=None, allow_none=True)


class DayDigest(Schema):
    """The facts of one ``kind`` that occurred on one Shanghai ``day``, each in its current version.

    A voided visit and a withdrawn rating are among them. ``sha256``: SHA-256 in hex over the UTF-8 lines
    ``id:version\\n``, the lines sorted by code point.
    """

    day = Day(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["visits", "ratings"]))
    count = fields.Integer(required=True, strict=True)
    sha256 = fields.String(required=True)


class FactDigest(Schema):
    """``days`` by (day, kind); a day without facts of a kind has no entry."""

    days = fields.List(fields.Nested(DayDigest), required=True)


class RatingsResult(Schema):
    accepted = fields.List(fields.Dict(), required=True)
    duplicates = fields.List(fields.Dict(), required=True)
    rejected = fields.List(fields.Dict(), required=True)


class VisitResult(Schema):
    visit_id = fields.String(required=True)
    version = fields.Integer(required=True)
    status = fields.String(required=True)
    findings = fields.Integer()


class PublishResult(Schema):
    campaign = fields.String(required=True)
    version = fields.Integer(required=True)


class WithdrawResult(Schema):
    rating_id = fields.String(required=True)
    version = fields.Integer(required=True)


class ClockResult(Schema):
    now = fields.String(required=True)
    day = fields.String(required=True)
    completed_day = fields.String(required=True)
    driven = fields.Boolean(required=True)


campaign_published = EventContract(
    SERVICE,
    "campaign_published",
    1,
    CampaignPublished,
    "A version of a campaign is in force (clauses 三, 四, 五).",
)
windows_registered = EventContract(
    SERVICE, "windows_registered", 1, WindowsRegistered, "Windows were registered or changed (clause 二)."
)
visit_recorded = EventContract(SERVICE, "visit_recorded", 1, VisitFact, "A visit counts (clause 四.3 查访).")
visit_amended = EventContract(
    SERVICE, "visit_amended", 1, VisitFact, "A visit was replaced by a higher version."
)
visit_voided = EventContract(SERVICE, "visit_voided", 1, VisitFact, "A visit no longer counts, for ever.")
ratings_recorded = EventContract(
    SERVICE, "ratings_recorded", 1, RatingsRecorded, "Citizens' ratings (clause 四.3 满意度监测)."
)
rating_withdrawn = EventContract(
    SERVICE, "rating_withdrawn", 1, RatingWithdrawn, "A source took a rating back, for ever."
)
clock_advanced = EventContract(
    SERVICE, "clock_advanced", 1, ClockAdvanced, "The campaign clock reached a new moment."
)

EVENTS = (
    campaign_published,
    windows_registered,
    visit_recorded,
    visit_amended,
    visit_voided,
    ratings_recorded,
    rating_withdrawn,
    clock_advanced,
)

_ORDER = ("InvalidPayload", "Conflict", "NotAllowed")
publish_campaign = RpcContract(
    SERVICE,
    "publish_campaign",
    "order",
    PublishCampaign,
    PublishResult,
    "Publish a version of a campaign; the same version with another body is a Conflict.",
    _ORDER,
)
import_registry = RpcContract(
    SERVICE,
    "import_registry",
    "order",
    ImportRegistry,
    ImportResult,
    "Import industries, units, windows, contacts and supervisors; "
    "a file with an error is refused whole, each bad cell named.",
    _ORDER,
)
record_visit = RpcContract(
    SERVICE,
    "record_visit",
    "order",
    VisitBody,
    VisitResult,
    "Record a visit; the same id with the same body is the same call.",
    (*_ORDER, "NotFound"),
)
amend_visit = RpcContract(
    SERVICE,
    "amend_visit",
    "order",
    AmendVisit,
    VisitResult,
    "Replace a visit by its next version.",
    (*_ORDER, "NotFound"),
)
void_visit = RpcContract(
    SERVICE, "void_visit", "order", VoidVisit, VisitResult, "Void a visit, for ever.", (*_ORDER, "NotFound")
)
record_ratings = RpcContract(
    SERVICE,
    "record_ratings",
    "order",
    RecordRatings,
    RatingsResult,
    "Record up to 500 ratings; answers accepted, duplicates and rejected, each with index and reason.",
    _ORDER,
)
withdraw_rating = RpcContract(
    SERVICE,
    "withdraw_rating",
    "order",
    WithdrawRating,
    WithdrawResult,
    "Take a rating back, for ever.",
    (*_ORDER, "NotFound"),
)
advance_clock = RpcContract(
    SERVICE,
    "advance_clock",
    "order",
    AdvanceClock,
    ClockResult,
    "Drive the campaign clock forward (rehearsals only).",
    (*_ORDER,),
)
get_visit = RpcContract(
    SERVICE,
    "get_visit",
    "read",
    GetVisit,
    VisitDetail,
    "A visit in its current version, with its history.",
    ("InvalidPayload", "NotFound"),
)
clock = RpcContract(SERVICE, "clock", "read", NoParams, ClockResult, "The campaign clock.")
fact_digest = RpcContract(
    SERVICE,
    "fact_digest",
    "read",
    FactDigestCall,
    FactDigest,
    "Per day: count and hash over id and version of visits and ratings.",
)

RPCS = (
    publish_campaign,
    import_registry,
    record_visit,
    amend_visit,
    void_visit,
    record_ratings,
    withdraw_rating,
    advance_clock,
    get_visit,
    clock,
    fact_digest,
)
