"""Each case under cases/ can be followed with pencil and paper; `by_hand` says how."""

from __future__ import annotations

from typing import Any

import pytest

from services.scoring.domain.rebuild import rebuild
from tests.unit.scoring.small_city import Case, Incremental, all_cases, published

CASES = all_cases()


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """A published figure with its lists as a case writes them: by id, gaps as 'item' or 'window:item'."""
    axes = {axis["axis"]: axis["gaps"] for axis in document["conformity"]["axes"]}
    named = {axis: [name for gap in gaps for name in gap_names(gap)] for axis, gaps in axes.items()}
    return {
        **document,
        "conforming": document["conformity"]["conforming"],
        "axes": named,
        "gaps": [name for axis in named.values() for name in axis],
        "missing": [entry["what"] for entry in document["missing"]],
        "dimensions": {entry["id"]: entry["figure"] for entry in document.get("dimensions", ())},
        "phrases": {entry["id"]: entry["figure"] for entry in document.get("phrases", ())},
    }


def gap_names(gap: dict[str, Any]) -> list[str]:
    items = gap["items"] if "items" in gap else [gap["item"]]
    return [f"{gap['window']}:{item}" for item in items] if "window" in gap else items


def assert_holds(expected: Any, actual: Any, place: str) -> None:
    """Mappings are compared key by key as far as the case says; all else must be equal."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in actual, f"{place}: no {key}"
            assert_holds(value, actual[key], f"{place}.{key}")
    else:
        assert actual == expected, f"{place}: {actual!r}, worked by hand: {expected!r}"


def assert_case(case: Case, state: dict[str, Any]) -> None:
    for level, figures in case.expect.items():
        if level == "city":
            assert_holds(figures, flat(state["city"]), "city")
        else:
            for code, figure in figures.items():
                assert_holds(figure, flat(state[level][code]), code)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_rebuild_gives_what_was_worked_by_hand(case: Case) -> None:
    state = published(rebuild(case.facts, case.registry, case.campaigns, case.completed_day, case.today))
    assert_case(case, state)
    again = [*reversed(case.facts), *case.facts]
    turned = published(rebuild(again, case.registry, case.campaigns, case.completed_day, case.today))
    assert turned == state, "order and duplicates must not matter"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_incremental_path_gives_the_same(case: Case) -> None:
    state = published(rebuild(case.facts, case.registry, case.campaigns, case.completed_day, case.today))
    incremental = Incremental(case.registry, case.campaigns, case.completed_day, case.today)
    for fact in case.facts:
        incremental.apply([fact])
    assert incremental.published() == state


def test_there_are_about_thirty_cases_or_more_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 30
    assert len({case.name for case in CASES}) == len(CASES)
