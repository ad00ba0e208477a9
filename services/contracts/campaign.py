"""The campaign document: a whole campaign as data, published by ``inspection.publish_campaign``.

A campaign document is plain JSON: strings, whole numbers, booleans, lists and mappings; days are ISO dates in
the campaign's time zone, shares and thresholds are decimal strings ('0.95'), so that nothing is rounded on
the way. Each part cites its clause of the notice; what the notice does not say is marked ``illustrative``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema
from marshmallow import validate as checks

Path = tuple[str | int, ...]

AXES = ("norms", "facilities", "quality")
KINDS = ("pass_fail", "scale", "count")
TIME_ZONES = ("Asia/Shanghai",)

_REQUIRED = "缺少必填项 / required field is missing"
_NULL = "不能为空值 / may not be null"
_COMMON = {"required": _REQUIRED, "null": _NULL}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHARE = re.compile(r"0|0\.\d{1,12}|1|1\.0{1,12}")


class _Text(fields.String):
    default_error_messages = {
        **_COMMON,
        "invalid": "应为文字（数字请加引号）/ must be text (put numbers in quotes)",
    }


class _Whole(fields.Integer):
    default_error_messages = {
        **_COMMON,
        "invalid": "应为整数 / must be a whole number",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)


class _Flag(fields.Boolean):
    """Only true and false; marshmallow alone would also take 'yes', 1 and 'off'."""

    default_error_messages = {
        **_COMMON,
        "invalid": "应为 true 或 false / must be true or false",
    }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Many(fields.List[Any]):
    default_error_messages = {**_COMMON, "invalid": "应为列表 / must be a list"}


class _One(fields.Nested):
    default_error_messages = {**_COMMON, "type": "应为一组键值 / must be a mapping"}


def _is_day(value: str) -> None:
    """Refuses anything but an existing day written YYYY-MM-DD."""
    if _DAY.fullmatch(value):
        try:
            date.fromisoformat(value)
        except ValueError:
            pass
        else:
            return
    raise ValidationError(f"“{value}”不是有效日期，应写作 2007-05-01 / not a valid day, write 2007-05-01")


def _is_share(value: str) -> None:
    """Refuses anything but a decimal in (0, 1]."""
    if not _SHARE.fullmatch(value) or Fraction(value) == 0:
        raise ValidationError(f"“{value}”应为大于 0、不超过 1 的小数 / must be above 0 and at most 1")


def _text(**kwargs: Any) -> _Text:
    limits = checks.Length(min=1, max=4000, error="应有 1 至 4000 字 / must have 1 to 4000 characters")
    return _Text(required=True, validate=limits, **kwargs)


def _id(**kwargs: Any) -> _Text:
    pattern = checks.Regexp(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        error="编号限字母、数字和 . _ -，至多 64 位 / letters, digits, . _ - only, at most 64",
    )
    return _Text(required=True, validate=pattern, **kwargs)


def _day() -> _Text:
    return _Text(required=True, validate=_is_day, metadata={"format": "date"})


def _share(**kwargs: Any) -> _Text:
    return _Text(validate=_is_share, **kwargs)


def _one_of(choices: tuple[str, ...]) -> checks.OneOf:
    return checks.OneOf(choices, error="应为 {choices} 之一 / must be one of {choices}")


def _between(least: int, most: int | None = None) -> checks.Range:
    if most is None:
        return checks.Range(min=least, error=f"应为不小于 {least} 的整数 / must be at least {least}")
    return checks.Range(
        min=least, max=most, error=f"应在 {least} 到 {most} 之间 / must be from {least} to {most}"
    )


class _Part(Schema):
    class Meta:
        unknown = RAISE

    error_messages = {
        "unknown": "没有这一项 / unknown field",
        "type": "应为一组键值 / must be a mapping",
    }


class SourceSchema(_Part):
    """The notice itself: its title, the day it is dated and the day it was published."""

    title = _text()
    date = _day()
    published = _day()


class ClauseSchema(_Part):
    """One clause: its number in the notice, its words, the rows of the requirements, what proves it."""

    id = _text()
    text = _text()
    rows = _Many(_Whole(validate=_between(1, 48)), load_default=list)
    evidence = _Text(load_default="")


class GoalSchema(_Part):
    """A goal; ``target`` (a share) where the notice names a figure, ``axes`` where it says what conforms."""

    id = _id()
    clause = _text()
    text = _text()
    axes = _Many(_Text(validate=_one_of(AXES)))
    target = _share()


class ScopeSchema(_Part):
    """Who takes part."""

    clause = _text()
    text = _text()


class PhaseSchema(_Part):
    """A phase, both days included; ``items_axes`` are the axes it concentrates on, not a limit on visits."""

    id = _id()
    name = _text()
    clause = _text()
    starts = _day()
    ends = _day()
    items_axes = _Many(_Text(validate=_one_of(AXES)))


class DimensionSchema(_Part):
    """A facility requirement or a contest event; ``weight`` counts within its five."""

    id = _id()
    name = _text()
    clause = _text()
    weight = _Whole(required=True, validate=_between(1))
    illustrative = _Flag(load_default=False, metadata={"description": "the weight is not in the notice"})


class PhraseSchema(_Part):
    """One of the phrases of the facility standard."""

    id = _id()
    name = _text()


class NamedSchema(_Part):
    """A showcase activity or a requirement on implementation plans."""

    id = _id()
    name = _text()
    clause = _text()


class AwardSchema(_Part):
    """An award; ``places`` is how many win at most, null where the notice sets no number."""

    id = _id()
    name = _text()
    clause = _text()
    places = _Whole(load_default=None, allow_none=True, validate=_between(1))


class ItemSchema(_Part):
    """A checklist item.

    ``pass_fail`` scores 1 or 0, ``scale`` value / ``max``, ``count`` observed / of.
    It passes from ``pass_at`` on.
    A required item that fails stops conformity on its axis; a critical one vetoes.
    """

    id = _id()
    dimension = _id()
    axis = _Text(required=True, validate=_one_of(AXES))
    phrase = _Text(load_default=None, allow_none=True)
    name = _text()
    clause = _text()
    kind = _Text(required=True, validate=_one_of(KINDS))
    max = _Whole(validate=_between(1, 1000))
    weight = _Whole(load_default=1, validate=_between(1, 1000))
    pass_at = _share(load_default="1")
    required = _Flag(load_default=False)
    critical = _Flag(load_default=False)
    illustrative = _Flag(load_default=False)

    @validates_schema
    def _scale_has_a_maximum(self, data: dict[str, Any], **_: Any) -> None:
        if data["kind"] == "scale" and "max" not in data:
            raise ValidationError("分级项需要 max / a scale item needs max", "max")
        if data["kind"] != "scale" and "max" in data:
            raise ValidationError("只有分级项有 max / only a scale item has max", "max")


class RatingLevelSchema(_Part):
    """One of the five levels that citizens choose from, with its points in the index."""

    level = _Whole(required=True, validate=_between(1, 5))
    name = _text()
    points = _Whole(required=True, validate=_between(0, 100))


class WeightsSchema(_Part):
    """Percentages of the composite: facility F, quality Q and satisfaction; together 100."""

    facility = _Whole(required=True, validate=_between(1, 98))
    quality = _Whole(required=True, validate=_between(1, 98))
    satisfaction = _Whole(required=True, validate=_between(1, 98))


class MinimaSchema(_Part):
    """Least number of visits and of ratings that an award asks for."""

    visits = _Whole(required=True, validate=_between(0))
    ratings = _Whole(required=True, validate=_between(0))


class PolicySchema(_Part):
    """The figures that the rules of the score leave to the office.

    ``shrinkage_m`` is in ratings, ``veto_cap`` in points of 100; ``illustrative``: those not in the notice.
    """

    weights = _One(WeightsSchema, required=True)
    satisfaction_target = _share(required=True)
    reference_line = _share(required=True)
    shrinkage_m = _Whole(required=True, validate=_between(0))
    veto_cap = _Whole(required=True, validate=_between(0, 100))
    minima = _One(MinimaSchema, required=True)
    illustrative = _Many(_text(), load_default=list)

    @validates_schema
    def _weights_are_percentages(self, data: dict[str, Any], **_: Any) -> None:
        total = sum(data["weights"].values())
        if total != 100:
            reason = f"三项权重之和应为 100，现为 {total} / weights must add up to 100, not {total}"
            raise ValidationError(reason, "weights")

    @validates_schema
    def _illustrative_names_exist(self, data: dict[str, Any], **_: Any) -> None:
        known = set(self.fields) - {"illustrative"} | {"rating_levels"}
        wrong = {
            place: [f"没有“{name}”这一项 / there is no such figure"]
            for place, name in enumerate(data["illustrative"])
            if name not in known
        }
        if wrong:
            raise ValidationError({"illustrative": wrong})


class MailsSchema(_Part):
    """Where the campaign's own mails go."""

    office = fields.Email(
        required=True,
        error_messages={**_COMMON, "invalid": "不是有效的电子邮箱 / not a valid e-mail address"},
    )


class CampaignSchema(_Part):
    """The whole document. Loading fills in defaults and refuses what does not hang together."""

    id = _id()
    version = _Whole(required=True, validate=_between(1))
    name = _text()
    name_en = _text()
    issuer = _text()
    source = _One(SourceSchema, required=True)
    timezone = _Text(required=True, validate=_one_of(TIME_ZONES))
    opens = _day()
    closes = _day()
    effective_on = _Text(
        validate=_is_day,
        metadata={"format": "date", "description": "first day of its weights; absent: once published"},
    )
    clauses = _Many(_One(ClauseSchema), required=True)
    goals = _Many(_One(GoalSchema), required=True)
    scope = _One(ScopeSchema, required=True)
    phases = _Many(_One(PhaseSchema), required=True)
    facility_requirements = _Many(_One(DimensionSchema), required=True)
    phrases = _Many(_One(PhraseSchema), required=True)
    contest_events = _Many(_One(DimensionSchema), required=True)
    showcase = _Many(_One(NamedSchema), required=True)
    items = _Many(_One(ItemSchema), required=True)
    awards = _Many(_One(AwardSchema), required=True)
    plan_requirements = _Many(_One(NamedSchema), required=True)
    rating_levels = _Many(_One(RatingLevelSchema), required=True)
    policy = _One(PolicySchema, required=True)
    mails = _One(MailsSchema, required=True)

    @validates_schema
    def _hangs_together(self, data: dict[str, Any], **_: Any) -> None:
        messages: dict[str, Any] = {}
        for path, text in _cross_checks(data):
            _put(messages, path, text)
        if messages:
            raise ValidationError(messages)


_DIMENSION_LISTS = ("facility_requirements", "contest_events")
_CITING_LISTS = ("goals", "phases", *_DIMENSION_LISTS, "showcase", "items", "awards", "plan_requirements")
# Lists whose ids share one space: an item names a dimension without saying of which list.
_ID_SPACES = (
    *(("clauses",), ("goals",), ("phases",), _DIMENSION_LISTS, ("phrases",), ("showcase",), ("items",)),
    *(("awards",), ("plan_requirements",)),
)


def _cross_checks(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    yield from _unique_ids(data)
    yield from _clauses_exist(data)
    yield from _phases_cover(data)
    yield from _five_and_five(data)
    yield from _items_belong(data)
    yield from _levels_are_five(data)
    yield from _targets_agree(data)


def _unique_ids(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for space in _ID_SPACES:
        seen: set[str] = set()
        for name in space:
            for place, part in enumerate(data[name]):
                if part["id"] in seen:
                    yield (name, place, "id"), f"编号“{part['id']}”重复 / duplicate id"
                seen.add(part["id"])


def _clauses_exist(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    known = {clause["id"] for clause in data["clauses"]}
    cited: list[tuple[Path, str]] = [(("scope", "clause"), data["scope"]["clause"])]
    for name in _CITING_LISTS:
        cited += [((name, place, "clause"), part["clause"]) for place, part in enumerate(data[name])]
    for path, clause in cited:
        if clause not in known:
            yield path, f"没有“{clause}”这一条 / no such clause"


def _phases_cover(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    opens, closes = date.fromisoformat(data["opens"]), date.fromisoformat(data["closes"])
    if closes < opens:
        yield ("closes",), f"结束日 {closes} 早于开始日 {opens} / closes before it opens"
        return
    if not data["phases"]:
        yield ("phases",), "至少要有一个阶段 / at least one phase is needed"
        return
    due = opens
    for place, phase in enumerate(data["phases"]):
        starts, ends = date.fromisoformat(phase["starts"]), date.fromisoformat(phase["ends"])
        if ends < starts:
            yield ("phases", place, "ends"), f"结束日 {ends} 早于开始日 {starts} / ends before it starts"
            return
        if starts > due:
            yield (
                ("phases", place, "starts"),
                f"{due} 至 {starts - timedelta(1)} 不属于任何阶段 / these days belong to no phase",
            )
        elif starts < due:
            # Before the first phase `due` is the opening day: an early start lies outside the campaign.
            reason = (
                f"早于活动开始日 {opens} / before the campaign opens"
                if place == 0
                else f"{starts} 同时属于两个阶段 / this day belongs to two phases"
            )
            yield ("phases", place, "starts"), reason
        due = ends + timedelta(1)
    last = len(data["phases"]) - 1
    if due <= closes:
        yield ("phases", last, "ends"), f"{due} 至 {closes} 不属于任何阶段 / these days belong to no phase"
    elif due > closes + timedelta(1):
        yield ("phases", last, "ends"), f"晚于活动结束日 {closes} / after the campaign closes"


def _five_and_five(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for name, title in zip(_DIMENSION_LISTS, ("五个有", "五个好"), strict=True):
        count = len(data[name])
        if count != 5:
            yield (name,), f"“{title}”应正好五项，现有 {count} 项 / there must be five, not {count}"


def _items_belong(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    facility = {part["id"] for part in data["facility_requirements"]}
    quality = {part["id"] for part in data["contest_events"]}
    phrases = {part["id"] for part in data["phrases"]}
    used: set[str] = set()
    for place, item in enumerate(data["items"]):
        dimension, phrase = item["dimension"], item["phrase"]
        used.add(dimension)
        if dimension in facility:
            if phrase is None:
                yield ("items", place, "phrase"), "设施项须归入四句标准之一 / a facility item needs a phrase"
            elif phrase not in phrases:
                yield ("items", place, "phrase"), f"没有“{phrase}”这一句 / no such phrase"
            if item["axis"] == "quality":
                yield ("items", place, "axis"), "设施项不能属于 quality / not for a facility item"
        elif dimension in quality:
            if phrase is not None:
                yield ("items", place, "phrase"), "只有设施项归入四句标准 / only facility items have a phrase"
            if item["axis"] == "facilities":
                yield ("items", place, "axis"), "质量项不能属于 facilities / not for a quality item"
        else:
            yield ("items", place, "dimension"), f"没有“{dimension}”这一项 / no such dimension"
    for name in _DIMENSION_LISTS:
        for place, part in enumerate(data[name]):
            if part["id"] not in used:
                yield (name, place), f"“{part['name']}”没有检查项 / it has no items"


def _levels_are_five(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    levels = data["rating_levels"]
    if [part["level"] for part in levels] != [5, 4, 3, 2, 1]:
        yield ("rating_levels",), "应从 5 到 1 各列一级 / levels 5, 4, 3, 2, 1, in this order"
    for place in range(1, len(levels)):
        if levels[place]["points"] >= levels[place - 1]["points"]:
            yield ("rating_levels", place, "points"), "分值应低于上一级 / must be below the level above"


def _targets_agree(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    target = data["policy"]["satisfaction_target"]
    for place, goal in enumerate(data["goals"]):
        if "target" in goal and Fraction(goal["target"]) != Fraction(target):
            yield (
                ("goals", place, "target"),
                f"与 policy.satisfaction_target（{target}）不一致 / differs from the policy's target",
            )


def _put(messages: dict[str, Any], path: Path, text: str) -> None:
    inner: Any = messages
    for key in path[:-1]:
        step = inner.setdefault(key, {})
        if isinstance(step, list):
            step = inner[key] = {"_schema": step}
        inner = step
    leaf = inner.setdefault(path[-1], [])
    (leaf.setdefault("_schema", []) if isinstance(leaf, dict) else leaf).append(text)


def places(messages: Any) -> list[tuple[Path, str]]:
    """Marshmallow's nested messages as (path, message) pairs, in their order; () is the whole document."""

    def walk(inner: Any, path: Path) -> Iterator[tuple[Path, str]]:
        if isinstance(inner, Mapping):
            for key, value in inner.items():
                yield from walk(value, path if key == "_schema" else (*path, key))
        elif isinstance(inner, list):
            for value in inner:
                yield from walk(value, path)
        else:
            yield path, str(inner)

    return list(walk(messages, ()))


def path_text(path: Path) -> str:
    """``('items', 3, 'weight')`` → ``'items[3].weight'``; the whole document is ``'_schema'``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text or "_schema"


def validate(document: Any) -> dict[str, Any]:
    """The document with its defaults filled in, JSON-plain as it came; the argument is left as it is.

    Raises marshmallow's ValidationError whose ``messages`` are ``{'items[3].weight': ['reason', …], …}``.
    """
    try:
        loaded: dict[str, Any] = CampaignSchema().load(document)
    except ValidationError as error:
        flat: dict[str, list[str]] = {}
        for path, text in places(error.messages):
            flat.setdefault(path_text(path), []).append(text)
        raise ValidationError(flat) from None
    return loaded
