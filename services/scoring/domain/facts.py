"""Facts as scoring knows them, and which version of a fact holds.

A fact has an id and a version. Of all versions that ever arrived the highest holds; a void or a withdrawal
is terminal, whatever version follows; an amendment cannot move a fact to another window. Duplicates and the
order of arrival never matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeVar

# A fixed offset: China has had no summer time since 1991, and a bare machine may have no time zone data.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


class WindowChanged(ValueError):
    """A version of a fact names another window than the fact had: such an amendment does not exist."""


def instant(value: str | datetime) -> datetime:
    """An RFC 3339 string or an aware datetime as UTC, cut (not rounded) to milliseconds.

    Naive values raise ValueError.
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        raise ValueError(f"occurred_at: {value!s} has no offset from UTC")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def instant_text(moment: datetime) -> str:
    """The wire form: UTC with milliseconds and 'Z'."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shanghai_day(moment: datetime) -> date:
    """The calendar day of an instant in Asia/Shanghai."""
    return moment.astimezone(SHANGHAI).date()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a supervisor noted for one item, in exactly one form.

    `result` ('pass', 'fail', 'na'), `value`, or `observed` of `of`.
    """

    item: str
    result: str | None = None
    value: int | None = None
    observed: int | None = None
    of: int | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Answer:
        """Reads the wire form; notes and photos stay with inspection."""
        return cls(
            item=document["item"],
            result=document.get("result"),
            value=document.get("value"),
            observed=document.get("observed"),
            of=document.get("of"),
        )

    def to_document(self) -> dict[str, Any]:
        """The wire form without absent keys."""
        return {"item": self.item, **self.form()}

    def form(self) -> dict[str, Any]:
        """The answer alone, without its item: {'result': …}, {'value': …} or {'observed': …, 'of': …}."""
        keys = ("result", "value", "observed", "of")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    @property
    def not_applicable(self) -> bool:
        """True for N/A, which leaves every denominator and clears nothing."""
        return self.result == "na"


@dataclass(frozen=True, slots=True)
class Visit:
    """One version of one inspection of one window. `occurred_at` is normalised to UTC milliseconds."""

    id: str
    version: int
    window: str
    occurred_at: datetime
    campaign_version: int
    answers: tuple[Answer, ...] = ()
    voided: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "occurred_at", instant(self.occurred_at))

    @property
    def terminal(self) -> bool:
        """True once voided: no later version revives it."""
        return self.voided

    def terminated(self) -> Visit:
        """The same visit, voided."""
        return replace(self, voided=True)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Visit:
        """Reads {visit_id or id, version, window, occurred_at, campaign_version, answers, voided?}."""
        return cls(
            id=document["visit_id"] if "visit_id" in document else document["id"],
            version=document["version"],
            window=document["window"],
            occurred_at=instant(document["occurred_at"]),
            campaign_version=document["campaign_version"],
            answers=tuple(Answer.from_document(answer) for answer in document.get("answers", ())),
            voided=bool(document.get("voided", False)),
        )


@dataclass(frozen=True, slots=True)
class Rating:
    """One version of one citizen's rating.

    `level` 5 (very satisfied) to 1; `default` marks one nobody actively gave.
    """

    id: str
    version: int
    window: str
    channel: str
    occurred_at: datetime
    level: int
    voter: str | None = None
    default: bool = False
    withdrawn: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "occurred_at", instant(self.occurred_at))

    @property
    def terminal(self) -> bool:
        """True once withdrawn: no later version revives it."""
        return self.withdrawn

    def terminated(self) -> Rating:
        """The same rating, withdrawn."""
        return replace(self, withdrawn=True)

    @property
    def day(self) -> date:
        """The Shanghai day the rating counts on."""
        return shanghai_day(self.occurred_at)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Rating:
        """Reads {id, version?, window, channel, occurred_at, level, voter?, default?, withdrawn?}.

        A first version is 1.
        """
        return cls(
            id=document["id"],
            version=document.get("version", 1),
            window=document["window"],
            channel=document["channel"],
            occurred_at=instant(document["occurred_at"]),
            level=document["level"],
            voter=document.get("voter"),
            default=bool(document.get("default", False)),
            withdrawn=bool(document.get("withdrawn", False)),
        )

    def to_document(self) -> dict[str, Any]:
        """The compact stored form; `from_document` reads it back."""
        return {
            "id": self.id,
            "version": self.version,
            "window": self.window,
            "channel": self.channel,
            "occurred_at": instant_text(self.occurred_at),
            "level": self.level,
            "voter": self.voter,
            "default": self.default,
            "withdrawn": self.withdrawn,
        }


Fact = TypeVar("Fact", Visit, Rating)


def order(fact: Visit | Rating) -> tuple[datetime, bytes]:
    """The one order of facts: by instant, then by the bytes of the id."""
    return fact.occurred_at, fact.id.encode()


def supersede(current: Fact | None, incoming: Fact) -> Fact:
    """What holds after `incoming` arrived on top of `current`, both of one id.

    The result does not depend on which of the two came first. Raises WindowChanged when they name two
    windows.
    """
    if current is None:
        return incoming
    if current.id != incoming.id:
        raise ValueError(f"id: {incoming.id} is no version of {current.id}")
    if current.window != incoming.window:
        raise WindowChanged(
            f"window: version {incoming.version} of {incoming.id} names {incoming.window},"
            f" the fact belongs to {current.window}"
        )
    holds = max(current, incoming, key=_precedence)
    ended = current.terminal or incoming.terminal
    return holds.terminated() if ended and not holds.terminal else holds


def latest(versions: Iterable[Fact]) -> Fact | None:
    """The version that holds, from all versions of one fact in any order, repeated or not; None of none.

    The lowest version names the window; versions that name another are no versions of this fact and are
    left out.
    """
    ordered = sorted(versions, key=_precedence)
    held: Fact | None = None
    for version in ordered:
        if version.window == ordered[0].window:
            held = supersede(held, version)
    return held


def latest_of_each(facts: Iterable[Fact]) -> dict[str, Fact]:
    """For each id the version that holds."""
    versions: dict[str, list[Fact]] = {}
    for fact in facts:
        versions.setdefault(fact.id, []).append(fact)
    return {id_: held for id_, known in versions.items() if (held := latest(known)) is not None}


def _precedence(fact: Visit | Rating) -> tuple[int, str]:
    # Inspection never gives one version two bodies; if it happened, every replica must still choose the same.
    return fact.version, repr(fact)
