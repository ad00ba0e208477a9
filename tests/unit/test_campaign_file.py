"""The campaign file: what the first one holds, and how an error in one is reported."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from mingchuang.campaign_file import CampaignFileError, load, parse
from services.contracts import campaign

FILE = Path(__file__).resolve().parents[2] / "campaigns" / "changzhou-2007.yaml"
TEXT = FILE.read_text(encoding="utf-8")
DOCUMENT = load(FILE)


def refused(change: Callable[[dict[str, Any]], object]) -> dict[str, list[str]]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with pytest.raises(ValidationError) as caught:
        campaign.validate(document)
    messages = caught.value.messages
    assert isinstance(messages, dict)
    return messages


def refused_text(old: str, new: str) -> CampaignFileError:
    assert old in TEXT
    with pytest.raises(CampaignFileError) as caught:
        parse(TEXT.replace(old, new, 1), "changzhou-2007.yaml")
    return caught.value


def problems(document: dict[str, Any]) -> dict[str, list[str]]:
    try:
        campaign.validate(document)
    except ValidationError as error:
        return dict(error.messages)  # type: ignore[arg-type]
    return {}


def line_of(text: str) -> int:
    return TEXT[: TEXT.index(text)].count("\n") + 1


def test_the_notice_is_there_clause_by_clause_and_answers_all_48_rows() -> None:
    clauses = {clause["id"]: clause for clause in DOCUMENT["clauses"]}
    parts = [
        "一.1",
        "一.2",
        "二",
        "三",
        "四.1",
        "四.2",
        "四.3",
        "五.1",
        "五.2",
        "五.3",
        "六.1",
        "六.2",
        "六.3",
    ]
    assert set(parts) <= set(clauses)
    assert all(clause["text"] and clause["evidence"] for clause in clauses.values())
    assert {row for clause in clauses.values() for row in clause["rows"]} == set(range(1, 49))


def test_each_day_of_2007_lies_in_exactly_one_of_the_four_phases() -> None:
    days = [date(2007, 1, 1) + timedelta(days=number) for number in range(365)]
    phases = DOCUMENT["phases"]
    assert len(phases) == 4
    assert all(
        sum(phase["starts"] <= day.isoformat() <= phase["ends"] for phase in phases) == 1 for day in days
    )


def test_the_fives_the_phrases_the_awards_and_the_policy_are_the_notice_s() -> None:
    assert [part["id"] for part in DOCUMENT["facility_requirements"]] == [
        *("environment", "areas", "procedure", "convenience", "dress"),
    ]
    assert [part["id"] for part in DOCUMENT["contest_events"]] == [
        *("staff", "integrity", "attitude", "skill", "efficiency"),
    ]
    assert [part["name"] for part in DOCUMENT["phrases"]] == ["功能完备", "布局合理", "服务便捷", "环境整洁"]
    assert len(DOCUMENT["showcase"]) == 5
    assert [part["name"] for part in DOCUMENT["plan_requirements"]] == ["目标", "计划", "要求", "措施"]
    assert [part["places"] for part in DOCUMENT["awards"]] == [10, 10, None]
    assert DOCUMENT["policy"]["satisfaction_target"] == "0.95"
    assert "weights" in DOCUMENT["policy"]["illustrative"]
    assert "satisfaction_target" not in DOCUMENT["policy"]["illustrative"]


def test_each_facility_requirement_has_three_items_and_each_contest_event_four() -> None:
    counts = Counter(item["dimension"] for item in DOCUMENT["items"])
    assert all(counts[part["id"]] >= 3 for part in DOCUMENT["facility_requirements"])
    assert all(counts[part["id"]] >= 4 for part in DOCUMENT["contest_events"])
    assert {item["kind"] for item in DOCUMENT["items"]} == {"pass_fail", "scale", "count"}
    for flag in ("required", "critical", "illustrative"):
        assert {item[flag] for item in DOCUMENT["items"]} == {True, False}
    assert {item["axis"] for item in DOCUMENT["items"]} == {"norms", "facilities", "quality"}


def test_the_loaded_document_is_plain_json_and_loading_it_again_changes_nothing() -> None:
    again = json.loads(json.dumps(DOCUMENT, ensure_ascii=False))
    assert again == DOCUMENT
    assert campaign.validate(again) == DOCUMENT
    assert DOCUMENT["opens"] == "2007-01-01"


def test_validating_leaves_the_argument_as_it_is_and_fills_in_defaults() -> None:
    document = copy.deepcopy(DOCUMENT)
    item = document["items"][0]
    for name in ("pass_at", "critical", "weight", "illustrative"):
        del item[name]
    before = copy.deepcopy(document)
    loaded = campaign.validate(document)["items"][0]
    assert document == before
    assert (loaded["pass_at"], loaded["critical"], loaded["weight"], loaded["illustrative"]) == (
        "1",
        False,
        1,
        False,
    )


def set_at(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Sets the last of ``path`` at the place that the others name."""
    *keys, last, value = path

    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for key in keys:
            inner = inner[key]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (set_at("colour", "red"), "colour"),
        (set_at("items", 3, "weigth", 2), "items[3].weigth"),
        (set_at("items", 3, "weight", 0), "items[3].weight"),
        (set_at("items", 3, "weight", "2"), "items[3].weight"),
        (set_at("items", 3, "weight", True), "items[3].weight"),
        (set_at("items", 3, "weight", 1.5), "items[3].weight"),
        (set_at("items", 0, "required", "yes"), "items[0].required"),
        (set_at("items", 0, "kind", "guess"), "items[0].kind"),
        (set_at("items", 0, "max", 5), "items[0].max"),
        (set_at("items", 0, "dimension", "weather"), "items[0].dimension"),
        (set_at("items", 0, "phrase", None), "items[0].phrase"),
        (set_at("items", 0, "phrase", "nice"), "items[0].phrase"),
        (set_at("items", 0, "axis", "quality"), "items[0].axis"),
        (set_at("items", 20, "phrase", "clean"), "items[20].phrase"),
        (set_at("items", 20, "axis", "facilities"), "items[20].axis"),
        (set_at("items", 1, "id", "F-ENV-1"), "items[1].id"),
        (set_at("items", 0, "clause", "七.9"), "items[0].clause"),
        (set_at("items", 0, "pass_at", "0"), "items[0].pass_at"),
        (set_at("items", 0, "pass_at", "1.01"), "items[0].pass_at"),
        (set_at("items", 0, "pass_at", 0.6), "items[0].pass_at"),
        (set_at("contest_events", 0, "id", "dress"), "contest_events[0].id"),
        (set_at("contest_events", 0, "weight", -1), "contest_events[0].weight"),
        (set_at("phases", 1, "starts", "2007-05-02"), "phases[1].starts"),
        (set_at("phases", 1, "starts", "2007-04-30"), "phases[1].starts"),
        (set_at("phases", 0, "starts", "2006-12-31"), "phases[0].starts"),
        (set_at("phases", 3, "ends", "2007-12-30"), "phases[3].ends"),
        (set_at("phases", 3, "ends", "2008-01-01"), "phases[3].ends"),
        (set_at("phases", 2, "ends", "2007-09-30"), "phases[2].ends"),
        (set_at("phases", 2, "ends", "2007-11-31"), "phases[2].ends"),
        (set_at("phases", []), "phases"),
        (set_at("closes", "2006-12-31"), "closes"),
        (set_at("timezone", "Europe/Paris"), "timezone"),
        (set_at("version", 0), "version"),
        (set_at("goals", 1, "target", "0.94"), "goals[1].target"),
        (set_at("policy", "weights", "facility", 31), "policy.weights"),
        (set_at("policy", "weights", "facility", 0), "policy.weights.facility"),
        (set_at("policy", "satisfaction_target", "95"), "policy.satisfaction_target"),
        (set_at("policy", "veto_cap", 101), "policy.veto_cap"),
        (set_at("policy", "illustrative", ["moon"]), "policy.illustrative[0]"),
        (set_at("rating_levels", 1, "points", 100), "rating_levels[1].points"),
        (set_at("rating_levels", 1, "level", 5), "rating_levels"),
        (set_at("mails", "office", "nobody"), "mails.office"),
        (set_at("clauses", 0, "rows", [49]), "clauses[0].rows[0]"),
        (lambda d: d.pop("issuer"), "issuer"),
        (lambda d: d["items"][0].pop("name"), "items[0].name"),
        (lambda d: d["facility_requirements"].append({**d["facility_requirements"][0], "id": "x"}),
         "facility_requirements"),
        (lambda d: d["contest_events"].pop(), "contest_events"),
    ],
)  # fmt: skip
def test_a_document_that_does_not_hang_together_is_refused_with_the_path_of_the_error(
    change: Callable[[dict[str, Any]], object], place: str
) -> None:
    assert place in refused(change)


def test_messages_are_in_chinese_and_english() -> None:
    messages = refused(lambda d: d.pop("issuer"))
    assert messages == {"issuer": ["缺少必填项 / required field is missing"]}


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_mapping_is_refused(document: object) -> None:
    with pytest.raises(ValidationError):
        campaign.validate(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(DOCUMENT)), value=json_values)
def test_whatever_stands_at_a_key_it_is_accepted_or_refused_by_name_and_never_breaks(
    key: str, value: Any
) -> None:
    messages = problems({**DOCUMENT, key: value})
    assert all(isinstance(path, str) and reasons for path, reasons in messages.items())


def test_an_error_names_file_line_column_and_path() -> None:
    error = refused_text("    weight: 2\n", "    weight: 0\n")
    line = line_of("    weight: 2\n")
    assert [(e.line, e.column, e.path) for e in error.errors] == [(line, 5, "items[0].weight")]
    assert f"changzhou-2007.yaml:{line}:5 items[0].weight: " in str(error)


def test_a_missing_key_is_reported_where_it_is_missing() -> None:
    error = refused_text("    name: 大厅地面、门窗、柜台整洁，无积尘、无污渍、无乱堆物品\n", "")
    assert [(e.line, e.column, e.path) for e in error.errors] == [
        (line_of("- id: F-ENV-1"), 5, "items[0].name")
    ]


def test_a_key_that_stands_twice_is_refused_even_where_the_values_agree() -> None:
    error = refused_text("version: 1\n", "version: 1\nversion: 1\n")
    assert [(e.line, e.path) for e in error.errors] == [(line_of("version: 1\n") + 1, "version")]
    assert "键重复" in str(error)


def test_all_errors_are_listed_in_the_order_of_the_file() -> None:
    text = TEXT.replace("version: 1\n", "version: one\n").replace("veto_cap: 59", "veto_cap: high")
    with pytest.raises(CampaignFileError) as caught:
        parse(text, "x.yaml")
    assert [error.path for error in caught.value.errors] == ["version", "policy.veto_cap"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "- a\n- b\n",
        "just text",
        "id: [1, 2\n",
        "id: &a x\nname: *a\n",
        "id: !!python/object/apply:os.getcwd []\n",
        "? [a, b]\n: c\n",
        "id: a\n---\nid: b\n",
        "id: \x00\n",
        "\tid: a\n",
        "a: !!timestamp nonsense\n",
        "a: !!binary '*'\n",
        "a: !mine b\n",
        "[" * 3000,
    ],
)
def test_what_is_no_campaign_file_is_refused_with_a_place(text: str) -> None:
    with pytest.raises(CampaignFileError) as caught:
        parse(text, "x.yaml")
    assert caught.value.errors
    assert all(error.line >= 1 and error.column >= 1 and error.reason for error in caught.value.errors)


def test_a_file_that_is_not_there_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: 常州".encode("gb18030"))
    for path in (tmp_path / "absent.yaml", latin, tmp_path):
        with pytest.raises(CampaignFileError, match=path.name):
            load(path)
