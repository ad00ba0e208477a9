"""What one answer is worth, whether it passes, and which answer is an item's state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from .campaign import Campaign, Campaigns, Item
from .facts import Answer, Visit, order

FAILED, PASSED = Fraction(0), Fraction(1)


class AnswerDoesNotFit(ValueError):
    """An answer names no item of its campaign version, or not in the form of the item's kind."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """An applicable answer with what decided it.

    The item of the visit's campaign version, its score (0–1), its visit.
    """

    item: Item
    answer: Answer
    score: Fraction
    visit: str
    occurred_at: datetime
    campaign_version: int

    @property
    def passes(self) -> bool:
        """At or above the item's `pass_at`."""
        return self.score >= self.item.pass_at


def item_score(item: Item, answer: Answer) -> Fraction:
    """The score of an applicable answer: pass 1, fail 0; v/max on a scale; observed/of for counts.

    Raises AnswerDoesNotFit, naming the item and the reason.
    """
    match item.kind:
        case "pass_fail" if answer.result in ("pass", "fail"):
            return PASSED if answer.result == "pass" else FAILED
        case "scale" if answer.value is not None and item.maximum:
            return _share(item, answer.value, item.maximum, "value")
        case "count" if answer.observed is not None and answer.of is not None:
            return _share(item, answer.observed, answer.of, "observed")
    raise AnswerDoesNotFit(f"{item.id}: {answer.form()} is no answer to an item of kind {item.kind}")


def score_answers(visit: Visit, campaign: Campaign) -> list[ScoredAnswer]:
    """The visit's applicable answers, scored by the visit's own campaign version; N/A is left out.

    Raises AnswerDoesNotFit when any answer, also an N/A, does not belong to that version or an item is
    answered twice.
    """
    scored = []
    seen: set[str] = set()
    for answer in visit.answers:
        item = campaign.items.get(answer.item)
        if item is None:
            raise AnswerDoesNotFit(f"{answer.item}: no item of version {campaign.version} of {campaign.id}")
        if answer.item in seen:
            raise AnswerDoesNotFit(f"{answer.item}: answered twice in one visit")
        seen.add(answer.item)
        if not answer.not_applicable:
            scored.append(scored_answer(visit, item, answer))
    return scored


def scored_answer(visit: Visit, item: Item, answer: Answer) -> ScoredAnswer:
    """One applicable answer of `visit` with its score."""
    return ScoredAnswer(
        item, answer, item_score(item, answer), visit.id, visit.occurred_at, visit.campaign_version
    )


def item_states(visits: Iterable[Visit], campaigns: Campaigns) -> dict[str, ScoredAnswer]:
    """For each item its latest answer that is neither N/A nor void, by the order of facts.

    `visits` are counted visits: the versions that hold, of known campaign versions, with answers that fit.
    """
    states: dict[str, ScoredAnswer] = {}
    for visit in sorted(visits, key=order, reverse=True):
        if visit.voided:
            continue
        items = campaigns[visit.campaign_version].items
        for answer in visit.answers:
            if answer.item not in states and not answer.not_applicable:
                states[answer.item] = scored_answer(visit, items[answer.item], answer)
    return states


def _share(item: Item, part: int, whole: int, field: str) -> Fraction:
    if whole <= 0 or not 0 <= part <= whole:
        raise AnswerDoesNotFit(
            f"{item.id}: {field} {part} is not within 0 to {whole}, or there is nothing to count"
        )
    return Fraction(part, whole)
