"""Which of many score events change a read model: of each figure the highest version, and only if newer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A figure as scoring gave it at ``at`` (RFC 3339, UTC); ``explanation`` only for windows."""

    campaign: str
    level: str
    code: str
    version: int
    at: str
    figure: dict[str, Any]
    explanation: dict[str, Any] | None = None

    @classmethod
    def from_fact(cls, data: Mapping[str, Any], at: str) -> Score:
        """Reads the data of a validated ``score_changed``."""
        names = ("campaign", "level", "code", "version", "figure", "explanation")
        return cls(at=at, **{name: data[name] for name in names})

    @property
    def key(self) -> str:
        return score_key(self.campaign, self.level, self.code)


def score_key(campaign: str, level: str, code: str) -> str:
    """The identity of a figure: ``changzhou-2007/window/1001``."""
    return f"{campaign}/{level}/{code}"


def coalesce(scores: Iterable[Score]) -> list[Score]:
    """Of each figure the highest version, in the order in which those arrived; the rest is never written."""
    latest: dict[str, Score] = {}
    for score in scores:
        held = latest.get(score.key)
        if held is None or score.version > held.version:
            latest.pop(score.key, None)
            latest[score.key] = score
    return list(latest.values())


def newer(scores: Iterable[Score], held: Mapping[str, int]) -> list[Score]:
    """Those above the version held under their key; an equal or older version changes nothing."""
    return [score for score in scores if score.version > held.get(score.key, 0)]
