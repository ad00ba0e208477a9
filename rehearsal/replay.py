"""Replays a synthetic city through the platform's RPC, week by week of the campaign clock.

It publishes the campaign, imports the registry and records visits (as ``office``) and ratings (as
``hotline``), each week's facts when the clock stands at the last millisecond of its last day with facts.
Before the clock goes on they have reached scoring, so that scoring never lags far behind the clock. (A step
of a day would have every window scored anew 198 times, which takes a small machine several minutes.)

All ids follow from the seed, so a replay may be repeated: days whose facts are already there, as inspection's
own digest shows, are passed over; of the others everything is sent again and answered as the first time.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from openpyxl import load_workbook
from tqdm import tqdm

from mingchuang.campaign_file import load
from mingchuang.client import Client
from mingchuang.find import read_platform
from rehearsal import truth
from services.contracts.base import instant_text, parse_instant
from services.contracts.errors import DomainError, InvalidPayload, NotReady

T = TypeVar("T")
Plain = dict[str, Any]
Registry = dict[str, list[Plain]]

SEED = 2007
VISITS = 600
RATINGS = 20_000
CAMPAIGNS = Path(__file__).resolve().parent.parent / "campaigns"
CAMPAIGN = CAMPAIGNS / "changzhou-2007.yaml"
REGISTRY = CAMPAIGNS / "changzhou-2007" / "registry.xlsx"
WINDOW = 16
CALL_SECONDS = 60.0
PATIENCE_SECONDS = 120.0
SETTLE_SECONDS = 300.0
AGREE_SECONDS = 15.0
VERIFY_SECONDS = 120.0
POLL_SECONDS = 0.02
QUIET_LOOKS = 3
QUIET_SECONDS = 0.5

# Sheet → (key, {header: name}) of what the truth of the city is drawn from.
SHEETS = {
    "窗口": ("windows", {"窗口编号": "code", "启用日期": "opened_on", "关闭日期": "closed_on"}),
    "督察员": ("supervisors", {"督察员编号": "code", "培训日期": "trained_on", "任期届满": "term_ends"}),
}


@dataclass
class Day:
    """The facts of one Shanghai day."""

    day: date
    visits: list[Plain] = field(default_factory=list)
    batches: list[list[Plain]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.visits) + sum(len(batch) for batch in self.batches)

    def digests(self) -> dict[tuple[str, str], tuple[int, str]]:
        """(day, kind) → count and hash, as ``inspection.fact_digest`` says them of version 1 of each fact."""
        ids = {
            "visits": [visit["visit_id"] for visit in self.visits],
            "ratings": [rating["id"] for batch in self.batches for rating in batch],
        }
        return {(self.day.isoformat(), kind): (len(of_kind), _digest(of_kind))
                for kind, of_kind in ids.items() if of_kind}


def _digest(ids: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(f"{one}:1\n" for one in ids)).encode()).hexdigest()


def read_registry(path: Path) -> Registry:
    """Windows and supervisors of a registry workbook; days as ISO text, what is empty as None."""
    workbook = load_workbook(path, read_only=True)
    registry: Registry = {}
    for sheet, (key, names) in SHEETS.items():
        rows = workbook[sheet].iter_rows(values_only=True)
        heads = list(next(rows))
        places = {name: heads.index(head) for head, name in names.items()}
        registry[key] = [{name: _plain(row[place]) for name, place in places.items()}
                         for row in rows if row[places["code"]]]
    workbook.close()
    return registry


def _plain(value: Any) -> Any:
    return value.date().isoformat() if isinstance(value, datetime) else value


def days_of(campaign: Mapping[str, Any], registry: Registry, visits: int, ratings: int) -> list[Day]:
    """The facts of the city by the day they occurred on, in order."""
    zone = ZoneInfo(campaign["timezone"])
    days: dict[date, Day] = {}

    def of(moment: str) -> Day:
        day = parse_instant(moment).astimezone(zone).date()
        return days.setdefault(day, Day(day))

    for visit in truth.visits(SEED, campaign, registry, visits):
        of(visit["occurred_at"]).visits.append(visit)
    for batch in truth.ratings(SEED, campaign, registry, ratings):
        of(batch[0]["occurred_at"]).batches.append(batch)
    return [days[day] for day in sorted(days)]


def patiently(call: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """The call's result; while the platform is not ready the same call is made again, for ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


class Replay:
    """One run: ``office`` and ``hotline`` are clients with those accounts."""

    def __init__(self, office: Client, hotline: Client, bar: tqdm[Any]) -> None:
        self.office = office
        self.hotline = hotline
        self.bar = bar

    def prepare(self, campaign: Plain, registry: Path) -> None:
        """Publish the campaign and import the registry; both change nothing when repeated."""
        patiently(lambda: self.office.inspection.publish_campaign(campaign=campaign))
        patiently(lambda: self.office.inspection.import_file(registry))

    def run(self, days: list[Day], zone: ZoneInfo) -> None:
        """Record the facts that are not there yet, week by week, and complete the last day."""
        there = self._there()
        for _, week in groupby(days, key=lambda day: day.day.isocalendar()[:2]):
            missing = []
            for day in week:
                if all(there.get(key) == value for key, value in day.digests().items()):
                    self.bar.update(day.size)
                else:
                    missing.append(day)
            if missing:
                self.bar.set_postfix_str(missing[-1].day.isoformat())
                self._advance(_end_of(missing[-1].day, zone))
                self._visits(missing)
                self._ratings(missing)
                self.reach_scoring()
        if days:
            self._advance(datetime.combine(days[-1].day + timedelta(days=1), time_of_day(8), zone))

    def _there(self) -> dict[tuple[str, str], tuple[int, str]]:
        found = patiently(lambda: self.office.inspection.fact_digest())["days"]
        return {(row["day"], row["kind"]): (row["count"], row["sha256"]) for row in found}

    def _advance(self, to: datetime) -> None:
        now = parse_instant(patiently(self.office.inspection.clock)["now"])
        if now < to:
            patiently(lambda: self.office.inspection.advance_clock(to=instant_text(to)))

    def _visits(self, days: list[Day]) -> None:
        calls = [("inspection.record_visit", visit) for day in days for visit in day.visits]
        for _ in self._answers(self.office, calls):
            self.bar.update(1)

    def _ratings(self, days: list[Day]) -> None:
        calls = [("inspection.record_ratings", {"batch_id": _batch_id(day.day, batch), "ratings": batch})
                 for day in days for batch in day.batches]
        for answer, (_, call) in zip(self._answers(self.hotline, calls), calls, strict=True):
            if answer["rejected"]:
                refused = answer["rejected"]
                raise InvalidPayload(
                    f"批次 {call['batch_id']} 有 {len(refused)} 条评价被拒收 / ratings were refused",
                    {f"ratings.{row.get('index')}": [str(row.get("reason"))] for row in refused[:10]})
            self.bar.update(len(call["ratings"]))

    def _answers(self, client: Client, calls: list[tuple[str, Plain]]) -> Iterator[Plain]:
        """Answers in order; a call that found the platform not ready is made again."""
        for (key, payload), answer in zip(calls, client.call_many(calls, window=WINDOW), strict=True):
            if isinstance(answer, NotReady):
                yield patiently(partial(client.call, key, payload))
            elif isinstance(answer, DomainError):
                raise answer
            else:
                yield answer

    def reach_scoring(self) -> None:
        """Return when inspection has published all it recorded and scoring has applied it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while patiently(self.office.inspection.status)["outbox"] or _backlog(
                patiently(self.office.scoring.status), ("queued", "retrying")):
            if time.monotonic() > deadline:
                raise NotReady(f"评分服务 {PATIENCE_SECONDS:g} 秒内没有处理完本周事实"
                               " / scoring has not applied the week's facts in time")
            time.sleep(POLL_SECONDS)


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time_of_day(23, 59, 59, 999000), zone).astimezone(UTC)


def _batch_id(day: date, batch: list[Plain]) -> str:
    """Follows from what is in the batch, so that another cut of the ratings is another batch."""
    return f"B-{day:%Y%m%d}-{_digest(rating['id'] for rating in batch)[:16]}"


def _backlog(status: Plain, names: Iterable[str] = ("outbox", "queued", "retrying")) -> int:
    return sum(int(status[name]) for name in names)


def wait_until_settled(
    office: Client, bar: tqdm[Any], seconds: float = SETTLE_SECONDS,
) -> dict[str, Plain]:
    """The services' status once nothing is on its way: no event in an outbox, queue or retry, no mail due.

    An event between a queue and its consumer shows nowhere, so several looks in a row must find it quiet.
    Raises NotReady naming what is still on its way after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    quiet: list[Any] = []
    while True:
        found = {service: patiently(calls.status) for service, calls in office.services.items()}
        mails = patiently(lambda: office.notification.messages(limit=1))["counts"]
        on_way = {service: _backlog(status) for service, status in found.items()}
        on_way["mails"] = int(mails.get("due", 0)) + int(mails.get("sending", 0))
        waiting = {name: count for name, count in on_way.items() if count}
        mark = [status["counts"] for status in found.values()]
        quiet = [*quiet, mark] if not waiting and (not quiet or quiet[-1] == mark) else []
        if len(quiet) >= QUIET_LOOKS:
            return found
        words = "，".join(f"{name} {count}" for name, count in waiting.items())
        bar.set_postfix_str(f"处理中 {words or '…'}")
        if time.monotonic() > deadline:
            raise NotReady(f"{seconds:g} 秒内没有处理完 / still on its way after {seconds:g} s: {words}")
        time.sleep(QUIET_SECONDS / QUIET_LOOKS)


def check(office: Client, statuses: Mapping[str, Plain]) -> Plain:
    """What came of the replay, as ``make run ONCE=1`` prints it.

    ``events``: how many events of inspection scoring has applied (its ledger): the same for the same facts,
    however often events were sent again or handled together. ``verify``: equal only when the figures equal a
    rebuild and the facts inspection's. ``report``: current when the page's read model shows scoring's figure.
    Both are looked at again for some seconds: a figure is brought up to date a moment after its facts.
    """
    deadline = time.monotonic() + AGREE_SECONDS
    while True:
        verified = patiently(partial(office.call, "scoring.verify", {}, timeout=VERIFY_SECONDS))
        equal = (verified["state"], verified["facts"]) == ("equal", "equal")
        scored = patiently(office.scoring.city_score)["figure"]
        shown = patiently(office.reporting.city_report)["city"]
        if (equal and shown == scored) or time.monotonic() > deadline:
            break
        time.sleep(QUIET_SECONDS)
    return {
        "visits": verified["visits"],
        "ratings": verified["ratings"],
        "events": statuses["scoring"]["counts"].get("ledger", 0),
        "mails": patiently(lambda: office.notification.messages(limit=1))["counts"].get("sent", 0),
        "dead_letters": sum(status["dead_letters"] for status in statuses.values()),
        "verify": "equal" if equal else "different",
        "report": "current" if shown == scored else "stale",
    }


def replay(
    platform_file: Path, *, visits: int | None = None, ratings: int | None = None,
    progress: bool = True, settle: bool = False,
) -> Plain:
    """Replay the city on the platform of ``platform_file``; repeatable.

    Returns {"visits", "ratings"} sent or found there; with ``settle``, waits until all is processed and
    returns what ``check`` says. Raises DomainErrors and CampaignFileError.
    """
    platform = read_platform(Path(platform_file))
    visits = VISITS if visits is None else visits
    ratings = RATINGS if ratings is None else ratings
    campaign = load(CAMPAIGN)
    days = days_of(campaign, read_registry(REGISTRY), visits, ratings)
    bar: tqdm[Any] = tqdm(total=visits + ratings, desc="回放", unit="条", disable=not progress,
                          file=sys.stderr, mininterval=0.2, dynamic_ncols=True)
    with (Client(platform.amqp_uri("office"), timeout=CALL_SECONDS) as office,
          Client(platform.amqp_uri("hotline"), timeout=CALL_SECONDS) as hotline, bar):
        run = Replay(office, hotline, bar)
        run.prepare(campaign, REGISTRY)
        run.run(days, ZoneInfo(campaign["timezone"]))
        if settle:
            return check(office, wait_until_settled(office, bar))
    return {"visits": visits, "ratings": ratings}
