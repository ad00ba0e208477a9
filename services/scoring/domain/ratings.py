"""Which ratings count, and how many there are of each level per window, channel and day.

Ratings nobody actively gave and withdrawn ones are left out first; then a voter has one voice per window,
channel and Shanghai day: the greatest by (instant, id), whatever arrived first. A rating without a voter
counts by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from .facts import Rating, order

LevelCounts = tuple[int, int, int, int, int]
"""How many ratings of level 5, 4, 3, 2, 1, in this order."""

DayKey = tuple[str, date]
"""(channel, Shanghai day) within a window."""

VoiceKey = tuple[str, str, date, str | None, str]
"""(window, channel, Shanghai day, voter or None, id where there is no voter, else '').

Ratings that share one voice.
"""

NO_RATINGS: LevelCounts = (0, 0, 0, 0, 0)


def voice(rating: Rating) -> VoiceKey:
    """The voice a rating is part of."""
    return (
        rating.window,
        rating.channel,
        rating.day,
        rating.voter,
        "" if rating.voter is not None else rating.id,
    )


def counted(ratings: Iterable[Rating]) -> Rating | None:
    """Of the ratings of one voice (versions that hold) the one that counts; None when all are left out."""
    return max((r for r in ratings if not r.withdrawn and not r.default), key=order, default=None)


def count(ratings: Iterable[Rating]) -> dict[str, dict[DayKey, LevelCounts]]:
    """Window → (channel, day) → counts, from all ratings (versions that hold) in any order."""
    voices: dict[VoiceKey, list[Rating]] = {}
    for rating in ratings:
        voices.setdefault(voice(rating), []).append(rating)
    counts: dict[str, dict[DayKey, LevelCounts]] = {}
    for group in voices.values():
        counting = counted(group)
        if counting is not None:
            days = counts.setdefault(counting.window, {})
            key = counting.channel, counting.day
            days[key] = add(days.get(key, NO_RATINGS), one(counting.level))
    return counts


def changes(before: Iterable[Rating], after: Iterable[Rating]) -> dict[tuple[str, str, date], LevelCounts]:
    """What to add to the counts of (window, channel, day) when the ratings of some voices become `after`
    from `before`.

    Both hold all ratings of the voices touched, not only the changed one. Entries that would add nothing
    are absent.
    """
    old, new = count(before), count(after)
    difference: dict[tuple[str, str, date], LevelCounts] = {}
    for window in old.keys() | new.keys():
        was, now = old.get(window, {}), new.get(window, {})
        for channel, day in was.keys() | now.keys():
            delta = subtract(now.get((channel, day), NO_RATINGS), was.get((channel, day), NO_RATINGS))
            if any(delta):
                difference[window, channel, day] = delta
    return difference


def one(level: int) -> LevelCounts:
    """The counts of a single rating. A level outside 1 to 5 raises ValueError."""
    if not 1 <= level <= 5:
        raise ValueError(f"level: {level} is not one of 5, 4, 3, 2, 1")
    return (int(level == 5), int(level == 4), int(level == 3), int(level == 2), int(level == 1))


def add(a: LevelCounts, b: LevelCounts) -> LevelCounts:
    """Level by level."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4])


def subtract(a: LevelCounts, b: LevelCounts) -> LevelCounts:
    """Level by level."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3], a[4] - b[4])


def total(counts: Iterable[LevelCounts]) -> LevelCounts:
    """The sum, level by level."""
    result = NO_RATINGS
    for levels in counts:
        result = add(result, levels)
    return result


def up_to(days: Mapping[DayKey, LevelCounts], last: date | None) -> LevelCounts:
    """The sum over the days up to and including `last`; nothing while no day is complete."""
    return total(levels for (_, day), levels in days.items() if last is not None and day <= last)
