"""The way from a window's figures down to each answer and each group of ratings, with the rule and its
clause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from .campaign import (
    FACILITY,
    QUALITY,
    ROW_CONFORMITY,
    ROW_PHRASES,
    ROW_SATISFACTION,
    Campaign,
    Campaigns,
    effective,
)
from .dimensions import QualityOfVisit
from .facts import Visit
from .items import ScoredAnswer, item_states, score_answers
from .ratings import DayKey, LevelCounts
from .window import Missing, NoCampaign, VisitFact, WindowInfo, counted_visits

STATE = "该项最近一次有效作答，决定该项现状"
STATE_AND_MEAN = "计入该次查访的质量得分；也是该项最近一次有效作答，决定该项现状"
MEAN = "计入该次查访的质量得分，窗口得分取各次查访的平均"


@dataclass(frozen=True, slots=True)
class ExplainedAnswer:
    """An answer that bears on a figure, and how."""

    scored: ScoredAnswer
    rule: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How a figure is formed, by which clause, under which version of the campaign's policy."""

    figure: str
    formula: str
    clause: str | None
    policy_version: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that bears on a window's figures, in the order of facts."""

    code: str
    items: tuple[ExplainedAnswer, ...]
    visits: tuple[tuple[Visit, QualityOfVisit], ...]
    ratings: tuple[tuple[DayKey, LevelCounts], ...]
    rules: tuple[Rule, ...]
    missing: tuple[Missing, ...]


def explain(
    window: WindowInfo,
    visits: Iterable[VisitFact],
    day_counts: Mapping[DayKey, LevelCounts],
    campaigns: Campaigns,
    today: date,
) -> Explanation:
    """Every answer that decides an item's state or enters a quality mean, every group of ratings, every rule.

    Takes the same facts as `window_state`. Raises NoCampaign while no version is known.
    """
    campaign = effective(campaigns, today)
    if campaign is None:
        raise NoCampaign("campaign: no version has been published yet")
    counted = counted_visits(visits, campaigns)
    states = item_states((visit for visit, _ in counted.visits), campaigns)
    items = []
    for visit, quality in counted.visits:
        for scored in score_answers(visit, campaigns[visit.campaign_version]):
            decides = states[scored.item.id].visit == visit.id
            enters = scored.item.dimension in quality
            if decides or enters:
                items.append(
                    ExplainedAnswer(scored, (STATE_AND_MEAN if decides else MEAN) if enters else STATE)
                )
    groups = sorted(
        ((key, levels) for key, levels in day_counts.items() if any(levels)), key=lambda group: group[0]
    )
    return Explanation(
        window.code, tuple(items), counted.visits, tuple(groups), rules(campaign), counted.left_out
    )


def rules(campaign: Campaign) -> tuple[Rule, ...]:
    """The rule of each figure of a window, with the clause the campaign file gives for it."""
    version, clause = campaign.version, campaign.clause_of_row
    found = []
    for dimension in campaign.dimensions:
        if dimension.axis == FACILITY:
            formula = "100 × Σ(权重 × 得分) ÷ Σ权重；取每项最近一次有效作答"
        else:
            formula = "各次查访 100 × Σ(权重 × 得分) ÷ Σ权重（四舍五入至百万分之一分）的平均"
        found.append(Rule(f"dimension:{dimension.id}", formula, dimension.clause, version))
    weighted = "各项得分按权重平均；尚无得分的项不计权重："
    for axis in (FACILITY, QUALITY):
        dimensions = campaign.dimensions_of(axis)
        weights = "，".join(f"{d.name} {d.weight}" for d in dimensions)
        found.append(Rule(axis, weighted + weights, _common_clause([d.clause for d in dimensions]), version))
    phrases = "100 × Σ(权重 × 得分) ÷ Σ权重；取该要求下每项最近一次有效作答"
    found.append(Rule("phrases", phrases, clause.get(ROW_PHRASES), version))
    points = "，".join(
        f"{level} 级 {value}" for level, value in sorted(campaign.points.items(), reverse=True)
    )
    satisfaction = clause.get(ROW_SATISFACTION)
    found.append(Rule("satisfaction.lenient", "前三级评价数 ÷ 有效评价数", satisfaction, version))
    found.append(Rule("satisfaction.strict", "前两级评价数 ÷ 有效评价数", satisfaction, version))
    found.append(Rule("satisfaction.index", f"各级分值（{points}）的平均", satisfaction, version))
    verdict = (
        "目标 T，n 个评价中前三级 x 个，z² = 3.841458820694124（威尔逊 95%）："
        "x ≥ nT 且 (x − nT)² ≥ z²·n·T·(1 − T) 为达到；"
        "x < nT 且 (x − nT)² > z²·n·T·(1 − T) 为未达到；否则评价数不足。"
        f"T = {float(campaign.target):g}，每个活动日结束后判定一次"
    )
    found.append(Rule("satisfaction.verdict", verdict, satisfaction, version))
    conformity = "规范、设施、质量三方面，每个有结果的必查项均合格，且每项设施要求至少有一项结果，不作平均"
    found.append(Rule("conformity", conformity, clause.get(ROW_CONFORMITY), version))
    return tuple(found)


def _common_clause(clauses: list[str]) -> str | None:
    return "、".join(dict.fromkeys(clauses)) or None
