"""Of each figure the highest version holds, whatever order and however often events arrive."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.reporting.domain.merge import Score, coalesce, newer

NAMES = st.tuples(
    st.sampled_from(["window", "industry"]), st.sampled_from(["1", "2", "3"]), st.integers(1, 5)
)


def score(level: str, code: str, version: int, **figure: Any) -> Score:
    return Score("c-2007", level, code, version, "2007-03-01T01:00:00.000Z", {"version": version, **figure})


def applied(batches: list[list[Score]]) -> dict[str, int]:
    """What a read model holds after applying the batches."""
    held: dict[str, int] = {}
    for batch in batches:
        held.update({one.key: one.version for one in newer(coalesce(batch), held)})
    return held


def test_a_batch_keeps_only_the_highest_version_of_each_figure() -> None:
    batch = [
        score("window", "1", 2),
        score("window", "1", 4),
        score("window", "1", 3),
        score("city", "city", 9),
    ]
    assert [(one.key, one.version) for one in coalesce(batch)] == [
        ("c-2007/window/1", 4),
        ("c-2007/city/city", 9),
    ]


def test_an_equal_or_older_version_changes_nothing() -> None:
    held = {"c-2007/window/1": 3}
    assert newer([score("window", "1", 3), score("window", "1", 2)], held) == []
    assert [one.version for one in newer([score("window", "1", 4)], held)] == [4]


def test_a_window_and_an_industry_of_one_code_are_two_figures_and_so_are_those_of_two_campaigns() -> None:
    other = Score("c-2009", "window", "1", 1, "2009-03-01T01:00:00.000Z", {})
    assert len(coalesce([score("window", "1", 1), score("industry", "1", 1), other])) == 3


@given(st.lists(NAMES, max_size=40), st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_duplicates_and_batching_do_not_matter(
    names: list[Any], dice: random.Random, size: int
) -> None:
    scores = [score(*name) for name in names]
    shuffled = scores + dice.sample(scores, len(scores) // 2)
    dice.shuffle(shuffled)
    batches = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    assert applied(batches) == applied([scores])
