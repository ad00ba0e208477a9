"""The hidden truth of the synthetic city, and the visits and ratings that it gives rise to.

Every figure follows from the seed, so that a rehearsal can be repeated and compared with what was put in:

- a window has a hidden quality, from ``WORST`` to 1;
- each item may be defective at a window from the start, the likelier the lower its quality, until the day it
  is mended; a few windows never mend anything, so that not all come to conform;
- the share of content citizens stays at 92 % first and then rises to 98.8 %: over the whole campaign the city
  first misses 95 % and meets it in the end.

Visits and ratings fall on working days, from a week after the campaign opens to two months before it closes,
within opening hours, in the campaign's time zone.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import accumulate, islice
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

Plain = dict[str, Any]

BATCH = 500
WORST = 0.70
STUBBORN = 0.06  # share of the windows that never mend anything
RELAPSE = 0.003  # chance that a visit finds a sound required item failing
CHANNELS = {"counter": 50, "web": 20, "hotline": 15, "sms": 15}

OPENS_AT, HOURS = time(8, 30), timedelta(hours=8, minutes=30)
_START_AFTER, _END_BEFORE = timedelta(days=7), timedelta(days=61)
# Days off of 2007 (New Year, Spring Festival, Labour Day, National Day), first and last.
_DAYS_OFF = (
    (date(2007, 1, 1), date(2007, 1, 3)),
    (date(2007, 2, 18), date(2007, 2, 24)),
    (date(2007, 5, 1), date(2007, 5, 7)),
    (date(2007, 10, 1), date(2007, 10, 7)),
)


def _chance(seed: int, *of: object) -> random.Random:
    """A source of chance of its own for each thing, so that asking for one never shifts another."""
    return random.Random(":".join(map(str, (seed, *of))))


def hidden_quality(seed: int, window: str) -> float:
    """How good a window is, from ``WORST`` to 1."""
    return _chance(seed, "quality", window).uniform(WORST, 1.0)


def content_share(progress: float) -> float:
    """The share of content citizens when ``progress`` (0..1) of the rehearsal's time has passed."""
    if progress < 0.12:
        return 0.92
    return min(0.988, 0.92 + 0.068 * (progress - 0.12) / 0.28)


def defects(seed: int, campaign: Mapping[str, Any], window: str) -> dict[str, date]:
    """The items that are defective at a window from the start, each with the day it is mended."""
    chance = _chance(seed, "defects", window)
    poor = 1 - hidden_quality(seed, window)
    stubborn = chance.random() < STUBBORN
    days = working_days(campaign)
    found: dict[str, date] = {}
    for item in campaign["items"]:
        likely = 0.15 if item.get("critical") else 0.8 if item.get("required") else 1.2
        broken = chance.random() < poor * likely
        # The smaller of two draws: most is mended early, in the phase of the facilities.
        mended = min(chance.random(), chance.random()) * 0.85
        if broken:
            found[item["id"]] = date.max if stubborn else days[int(mended * len(days))]
    return found


def working_days(campaign: Mapping[str, Any]) -> list[date]:
    """The days on which visits and ratings fall, in order."""
    first = date.fromisoformat(campaign["opens"]) + _START_AFTER
    last = date.fromisoformat(campaign["closes"]) - _END_BEFORE
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5 and not _is_off(day)]


def _is_off(day: date) -> bool:
    return any(first <= day <= last for first, last in _DAYS_OFF)


def _moments(
    seed: int, stream: str, campaign: Mapping[str, Any], count: int
) -> Iterator[tuple[float, datetime]]:
    """``count`` moments within opening hours, in order, evenly spread: (progress 0..1, local time)."""
    chance = _chance(seed, stream, "moments")
    days = working_days(campaign)
    zone = ZoneInfo(campaign["timezone"])
    for number in range(count):
        progress = (number + chance.random()) / count
        index, within = divmod(progress * len(days), 1)
        opened = datetime.combine(days[int(index)], OPENS_AT, zone)
        yield progress, opened + timedelta(milliseconds=int(within * HOURS.total_seconds() * 1000))


def _wire(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _is_open(window: Mapping[str, Any], day: date) -> bool:
    """From its closing day on a window is closed."""
    today = day.isoformat()
    return bool(window["opened_on"] <= today < (window.get("closed_on") or "9999-12-31"))


def visits(
    seed: int, campaign: Mapping[str, Any], registry: Mapping[str, Sequence[Mapping[str, Any]]], count: int
) -> Iterator[Plain]:
    """``count`` bodies for ``inspection.record_visit``, by ``occurred_at``.

    Windows are visited in rounds, each in an order of its own: none is visited twice before all were. A visit
    answers the items of the axes that its phase concentrates on, and some of the others.
    """
    windows = {window["code"]: window for window in registry["windows"]}
    rounds = _rounds(seed, sorted(windows))
    faults = {code: defects(seed, campaign, code) for code in windows}
    for number, (_, moment) in enumerate(_moments(seed, "visits", campaign, count), start=1):
        day = moment.date()
        two_rounds = islice(rounds, 2 * len(windows))
        window = next((code for code in two_rounds if _is_open(windows[code], day)), None)
        if window is None:
            raise ValueError(f"no window of the registry is open on {day}")
        chance = _chance(seed, "visit", number)
        able = [
            person["code"]
            for person in registry["supervisors"]
            if person.get("trained_on") and person["trained_on"] <= day.isoformat() <= person["term_ends"]
        ]
        if not able:
            raise ValueError(f"no supervisor of the registry is trained and in office on {day}")
        yield {
            "visit_id": f"V-{seed}-{number:06d}",
            "window": window,
            "campaign": campaign["id"],
            "campaign_version": campaign["version"],
            "supervisor": chance.choice(able),
            "occurred_at": _wire(moment),
            "kind": "planned" if chance.random() < 0.6 else "unannounced",
            "answers": _answers(chance, campaign, day, faults[window], hidden_quality(seed, window)),
        }


def _rounds(seed: int, codes: list[str]) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield from _chance(seed, "round", number).sample(codes, len(codes))


def _answers(
    chance: random.Random, campaign: Mapping[str, Any], day: date, faults: Mapping[str, date], quality: float
) -> list[Plain]:
    phase = next(p for p in campaign["phases"] if p["starts"] <= day.isoformat() <= p["ends"])
    axes = phase.get("items_axes") or [item["axis"] for item in campaign["items"]]
    answers = []
    for item in campaign["items"]:
        asked = chance.random() < (0.97 if item["axis"] in axes else 0.55)
        if asked:
            answers.append(_answer(chance, item, day < faults.get(item["id"], date.min), quality))
    return answers or [_answer(chance, campaign["items"][0], False, quality)]


def _answer(chance: random.Random, item: Mapping[str, Any], defective: bool, quality: float) -> Plain:
    demanding = item.get("required") or item.get("critical")
    if not demanding and chance.random() < 0.02:
        return {"item": item["id"], "result": "na", "note": "本窗口不办理此类业务，不适用"}
    slip = RELAPSE if demanding else (1 - quality) / 5
    fails = chance.random() < (0.85 if defective else slip)
    answer = _form(chance, item, fails, quality)
    if fails and (demanding or chance.random() < 0.5):
        answer["note"] = _note(item, answer)
    return answer


def _form(chance: random.Random, item: Mapping[str, Any], fails: bool, quality: float) -> Plain:
    """An answer in the form of the item's kind that fails or passes as told."""
    if item["kind"] == "pass_fail":
        return {"item": item["id"], "result": "fail" if fails else "pass"}
    most = item["max"] if item["kind"] == "scale" else chance.randint(5, 10)
    least = ceil(Fraction(str(item.get("pass_at") or "1")) * most)
    if fails:
        figure = chance.randint(max(0, least - 3), least - 1)
    else:
        figure = least + sum(chance.random() < quality for _ in range(most - least))
    if item["kind"] == "scale":
        return {"item": item["id"], "value": figure}
    return {"item": item["id"], "observed": figure, "of": most}


def _note(item: Mapping[str, Any], answer: Plain) -> str:
    if "value" in answer:
        return f"现场评 {answer['value']} 分（满分 {item['max']} 分），低于合格线"
    if "observed" in answer:
        return f"抽查 {answer['of']}，合格 {answer['observed']}，未达到要求"
    return f"现场查看未做到：{item['name']}"


@dataclass
class _Day:
    """The windows open on a day with their cumulated volumes, and who voted last."""

    day: date
    codes: list[str]
    volumes: list[float]
    last: tuple[str, str, str] | None = None


def ratings(
    seed: int, campaign: Mapping[str, Any], registry: Mapping[str, Sequence[Mapping[str, Any]]], count: int
) -> Iterator[list[Plain]]:
    """``count`` ratings by ``occurred_at`` in batches for ``inspection.record_ratings``.

    A batch holds at most ``BATCH`` ratings of one day. Some voters rate a window twice on a day by the same
    channel; only one of the two counts.
    """
    windows = sorted(registry["windows"], key=lambda window: str(window["code"]))
    quality = {window["code"]: hidden_quality(seed, window["code"]) for window in windows}
    usual = sum(quality.values()) / len(quality)
    chance = _chance(seed, "ratings")
    today: _Day | None = None
    batch: list[Plain] = []
    for number, (progress, moment) in enumerate(_moments(seed, "ratings", campaign, count), start=1):
        new_day = today is None or today.day != moment.date()
        if batch and (new_day or len(batch) == BATCH):
            yield batch
            batch = []
        if today is None or new_day:
            today = _day_of(seed, windows, moment.date())
        window, channel, voter = _who(chance, seed, number, today)
        content = content_share(progress) + (quality[window] - usual) / 4
        rating = {
            "id": f"R-{seed}-{number:07d}",
            "window": window,
            "channel": channel,
            "level": _level(chance, min(0.998, content)),
            "occurred_at": _wire(moment),
        }
        batch.append({**rating, "voter": voter} if voter else rating)
    if batch:
        yield batch


def _day_of(seed: int, windows: Sequence[Mapping[str, Any]], day: date) -> _Day:
    codes = [window["code"] for window in windows if _is_open(window, day)]
    if not codes:
        raise ValueError(f"no window of the registry is open on {day}")
    return _Day(day, codes, list(accumulate(_chance(seed, "volume", code).uniform(0.5, 2) for code in codes)))


def _who(chance: random.Random, seed: int, number: int, today: _Day) -> tuple[str, str, str | None]:
    if today.last and chance.random() < 0.03:
        return today.last
    window = today.codes[bisect(today.volumes, chance.random() * today.volumes[-1])]
    channel = chance.choices(list(CHANNELS), list(CHANNELS.values()))[0]
    if channel == "counter" and chance.random() < 0.7:
        return window, channel, None
    voter = hashlib.sha256(f"{seed}:voter:{number}".encode()).hexdigest()
    today.last = (window, channel, voter)
    return today.last


def _level(chance: random.Random, content: float) -> int:
    if chance.random() < content:
        return chance.choices((5, 4, 3), (55, 30, 15))[0]
    return chance.choices((2, 1), (7, 3))[0]
