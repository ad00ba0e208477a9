"""Reads hand-worked cases into facts; and an incremental path, as small as the rules allow, to compare with
the rebuild.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from services.scoring.domain.campaign import Campaign
from services.scoring.domain.facts import Rating, Visit, WindowChanged, supersede
from services.scoring.domain.presentation import rollup_document, window_document
from services.scoring.domain.ratings import NO_RATINGS, DayKey, LevelCounts, VoiceKey, add, changes, voice
from services.scoring.domain.rebuild import CityScores, Registry
from services.scoring.domain.rollup import WindowSummary, city_state, industry_state, summary
from services.scoring.domain.window import VisitFact, compact, window_state

CASES = Path(__file__).parent / "cases"


def campaign_document(change: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The small campaign with a case's changes: version, effective day, items dropped or changed, weights."""
    document: dict[str, Any] = json.loads((CASES / "campaign.json").read_text())
    if change is None:
        return document
    document = copy.deepcopy(document)
    document["version"] = change["version"]
    document["effective_on"] = change.get("effective_on")
    document["items"] = [
        {**item, **change.get("items", {}).get(item["id"], {})}
        for item in document["items"]
        if item["id"] not in change.get("drop", ())
    ]
    for dimension in document["facility_requirements"] + document["contest_events"]:
        dimension["weight"] = change.get("dimensions", {}).get(dimension["id"], dimension["weight"])
    return document


def answer_document(item: str, short: str | int) -> dict[str, Any]:
    """'pass', 'fail', 'na'; an integer on a scale; '9/10' for nine of ten observed."""
    if isinstance(short, int):
        return {"item": item, "value": short}
    if "/" in short:
        observed, of = short.split("/")
        return {"item": item, "observed": int(observed), "of": int(of)}
    return {"item": item, "result": short}


def visit_of(document: Mapping[str, Any]) -> Visit:
    """A visit of a case."""
    answers = [answer_document(item, short) for item, short in document["answers"].items()]
    return Visit.from_document({**document, "answers": answers})


def ratings_of(group: Mapping[str, Any]) -> list[Rating]:
    """A group of anonymous ratings of one window, channel and day, at noon."""
    window, channel, day = group["window"], group["channel"], group["day"]
    return [
        Rating.from_document(
            {
                "id": f"{window}-{channel}-{day}-{level}-{i}",
                "window": window,
                "channel": channel,
                "occurred_at": f"{day}T12:00:00+08:00",
                "level": int(level),
            }
        )
        for level, n in group["counts"].items()
        for i in range(n)
    ]


@dataclass
class Case:
    """A hand-worked case: facts, campaign versions, registry and days in; what must come out."""

    name: str
    facts: list[Visit | Rating]
    registry: Registry
    campaigns: dict[int, Campaign]
    today: date
    completed_day: date | None
    expect: dict[str, Any]


def read_case(document: Mapping[str, Any]) -> Case:
    """By default one window W1, campaign version 1, 31 March 2007, and the days before it complete."""
    windows = [
        {
            "name": window["code"],
            "unit": "U1",
            "district": "天宁区",
            "opened_on": "2007-01-01",
            "industry_name": window["industry"],
            **window,
        }
        for window in document.get("windows", [{"code": "W1", "industry": "bus"}])
    ]
    versions = [campaign_document(), *(campaign_document(change) for change in document.get("campaigns", ()))]
    campaigns = {version["version"]: Campaign.from_document(version) for version in versions}
    facts: list[Visit | Rating] = [visit_of(visit) for visit in document.get("visits", ())]
    facts += [Rating.from_document(rating) for rating in document.get("ratings", ())]
    facts += [rating for group in document.get("rating_groups", ()) for rating in ratings_of(group)]
    completed = document.get("completed_day", "2007-03-30")
    return Case(
        name=document["name"],
        facts=facts,
        registry=Registry.of_windows(windows),
        campaigns=campaigns,
        today=date.fromisoformat(document.get("today", "2007-03-31")),
        completed_day=None if completed is None else date.fromisoformat(completed),
        expect=document["expect"],
    )


def all_cases() -> list[Case]:
    """Every case of every file."""
    files = sorted(path for path in CASES.glob("*.json") if path.name != "campaign.json")
    return [read_case(document) for path in files for document in json.loads(path.read_text())]


def published(scores: CityScores) -> dict[str, Any]:
    """The whole state as it would leave the service."""
    return {
        "windows": {code: window_document(state) for code, state in scores.windows.items()},
        "industries": {code: rollup_document(state) for code, state in scores.industries.items()},
        "city": rollup_document(scores.city),
    }


@dataclass
class Incremental:
    """Keeps compact facts only, and after each fact recomputes what it touched, as the service does.

    Every stored value passes through JSON, so that nothing is kept that a database could not keep.
    """

    registry: Registry
    campaigns: dict[int, Campaign]
    completed_day: date | None
    today: date
    visits: dict[str, dict[str, str]] = field(default_factory=dict)
    ratings: dict[str, Rating] = field(default_factory=dict)
    voices: dict[VoiceKey, dict[str, Rating]] = field(default_factory=dict)
    counts: dict[str, dict[DayKey, LevelCounts]] = field(default_factory=dict)
    windows: dict[str, dict[str, Any]] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)

    def apply(self, facts: Iterable[Visit | Rating]) -> None:
        """One batch: store each fact, then judge each touched window once."""
        touched = set()
        for fact in facts:
            try:
                self._visit(fact) if isinstance(fact, Visit) else self._rating(fact)
            except WindowChanged:
                continue
            touched.add(fact.window)
        for code in touched:
            self._judge(code)

    def _visit(self, visit: Visit) -> None:
        stored = self.visits.setdefault(visit.window, {}).get(visit.id)
        current = VisitFact.from_document(json.loads(stored)).visit if stored else None
        fact = compact(supersede(current, visit), self.campaigns)
        self.visits[visit.window][visit.id] = json.dumps(fact.to_document())

    def _rating(self, rating: Rating) -> None:
        current = self.ratings.get(rating.id)
        holds = supersede(current, rating)
        keys = {voice(holds)} | ({voice(current)} if current else set())
        before = [r for key in keys for r in self.voices.get(key, {}).values()]
        if current:
            del self.voices[voice(current)][current.id]
        self.voices.setdefault(voice(holds), {})[holds.id] = holds
        self.ratings[holds.id] = holds
        after = [r for key in keys for r in self.voices.get(key, {}).values()]
        for (window, channel, day), delta in changes(before, after).items():
            days = self.counts.setdefault(window, {})
            days[channel, day] = add(days.get((channel, day), NO_RATINGS), delta)

    def _judge(self, code: str) -> None:
        if code not in self.registry.windows:
            return
        facts = [VisitFact.from_document(json.loads(text)) for text in self.visits.get(code, {}).values()]
        state = window_state(
            self.registry.windows[code],
            facts,
            self.counts.get(code, {}),
            self.campaigns,
            self.completed_day,
            self.today,
        )
        self.windows[code] = window_document(state)
        self.summaries[code] = json.dumps(summary(state).to_document())

    def published(self) -> dict[str, Any]:
        """The same shape as `published`, from stored summaries."""
        for code in self.registry.windows.keys() - self.windows.keys():
            self._judge(code)
        windows = [WindowSummary.from_document(json.loads(text)) for text in self.summaries.values()]
        arguments = (self.campaigns, self.completed_day, self.today)
        industries = {
            code: industry_state(code, name, [w for w in windows if w.industry == code], *arguments)
            for code, name in self.registry.industries.items()
        }
        with_ratings = {code for code, days in self.counts.items() if any(any(c) for c in days.values())}
        unknown = (self.visits.keys() | with_ratings) - self.registry.windows.keys()
        city = city_state(
            self.registry.city,
            self.registry.city_name,
            self.registry.industries,
            windows,
            *arguments,
            unknown,
        )
        return {
            "windows": self.windows,
            "industries": {code: rollup_document(state) for code, state in industries.items()},
            "city": rollup_document(city),
        }
