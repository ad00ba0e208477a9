"""Days of the campaign clock. A campaign lives in Asia/Shanghai; instants are cut to milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
UNSET = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a driven clock stands before a campaign is published."""


@dataclass(frozen=True)
class Stamp:
    """What a write is stamped with. ``now``: campaign clock; ``real``: real time; ``caller``: who asked."""

    now: datetime
    real: datetime
    caller: str


@dataclass(frozen=True)
class ClockFace:
    """The campaign clock at one moment. ``completed_day``: the last day that is over."""

    now: datetime
    day: date
    completed_day: date


def cut(moment: datetime) -> datetime:
    """The moment in UTC without what is below a millisecond."""
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def day_of(moment: datetime) -> date:
    """The Shanghai day a moment falls on."""
    return moment.astimezone(SHANGHAI).date()


def start_of(day: date) -> datetime:
    """The first moment of a Shanghai day, in UTC."""
    return datetime.combine(day, time.min, SHANGHAI).astimezone(UTC)


def face(now: datetime) -> ClockFace:
    """What the clock shows at ``now``."""
    day = day_of(now)
    return ClockFace(cut(now), day, day - timedelta(days=1))


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970-01-01T00:00Z."""
    return (moment - UNSET) // timedelta(milliseconds=1)


def is_backwards(now: datetime, to: datetime) -> bool:
    """A driven clock never goes back."""
    return cut(to) < cut(now)
