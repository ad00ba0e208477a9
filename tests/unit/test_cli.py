"""The command line without a platform: what it prints, how it refuses, with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingchuang import views
from mingchuang.cli import main
from mingchuang.tables import pairs, table, width

SATISFACTION = {
    "n": 200, "counts": {"5": 120, "4": 50, "3": 24, "2": 4, "1": 2},
    "lenient": "0.9700", "strict": "0.8500", "index": "89.60",
    "wilson_low": "0.9361000000", "wilson_high": "0.9862000000", "target": "0.95",
    "reference": "0.85", "verdict": "insufficient", "verdict_day": "2007-03-01", "verdict_n": 180,
    "ratings_needed": 257,
}
WINDOW: dict[str, Any] = {
    "level": "window", "code": "GJ-01", "version": 7, "figure": {
        "level": "window", "code": "GJ-01", "name": "公交窗口01", "campaign_version": 1, "facility": "87.35",
        "quality": None, "satisfaction": SATISFACTION,
        "dimensions": [{"id": "environment", "axis": "facilities", "name": "环境", "figure": "90.00",
                        "weight": 1, "items_with_state": 2, "items": 3}],
        "conformity": {"conforming": False, "axes": [{"axis": "facilities", "conforming": False, "gaps": [
            {"item": "F-ENV-1", "name": "地面整洁", "clause": "四.1", "reason": "不合格"}]}]},
        "coverage": {"visits": 2, "items_with_state": 2, "items": 35, "dimensions_with_figure": 1,
                     "dimensions": 10},
        "missing": [{"what": "quality", "reason": "尚无查访"}],
    },
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a platform, and no setting that names one."""
    for name in ("MINGCHUANG_PLATFORM", "AMQP_URI", "DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_columns_stand_straight_under_chinese_heads() -> None:
    lines = table(("名称", "n"), [("公交", 7), ("ab", 1200)]).splitlines()
    assert lines == ["名称     n", "────  ────", "公交     7", "ab    1200"]
    assert {width(line) for line in lines} == {10}


def test_a_table_without_rows_says_so() -> None:
    assert table(("名称",), []) == "（无）"


def test_a_value_that_is_missing_shows_as_a_dash_and_line_breaks_do_not_break_the_table() -> None:
    assert pairs([("甲", None), ("乙乙", "a\nb"), ("丙", False)]) == "甲    —\n乙乙  a b\n丙    否"


@given(st.integers(0, 10**10))
def test_a_ratio_as_percent_keeps_every_digit(number: int) -> None:
    ratio = f"{number // 10**10}.{number % 10**10:010d}"
    shown = views.percent(ratio)
    assert shown is not None
    whole, _, part = shown.removesuffix("%").partition(".")
    assert int(whole + part) == number
    assert len(part) == 8


@pytest.mark.parametrize(("ratio", "shown"), [
    ("0.95", "95%"), ("0.9512", "95.12%"), ("1.0000", "100.00%"), ("0.005", "0.5%"), ("1", "100%"),
    ("0.9", "90%"), (None, None),
])
def test_a_ratio_is_shown_as_percent(ratio: str | None, shown: str | None) -> None:
    assert views.percent(ratio) == shown


def test_a_score_shows_its_n_definitions_verdict_gaps_and_what_is_missing() -> None:
    text = views.score(WINDOW)
    for words in ("窗口 GJ-01 公交窗口01（第 7 版，活动方案第 1 版）", "87.35", "前三级，通行口径）  97.00%",
                  "85.00%", "93.61000000% – 98.62000000%", "95% / 85%", "257",
                  "评价不足（2007-03-01 判定，n = 180）", "达标：否；差距 1 处", "F-ENV-1", "四.1",
                  "quality：尚无查访"):
        assert words in text, text


def test_the_rating_groups_of_an_explanation_are_summed_by_channel() -> None:
    counts = {"5": 1, "4": 2, "3": 0, "2": 0, "1": 1}
    text = views.explanation({"code": "GJ-01", "figure": WINDOW["figure"], "explanation": {
        "items": [], "visits": [], "rules": [], "missing": [],
        "ratings": [{"channel": "web", "day": "2007-03-01", "counts": counts},
                    {"channel": "web", "day": "2007-03-02", "counts": counts}]}})
    assert "web      2     4     0     0     2" in text


def test_a_service_that_does_not_answer_stands_in_the_table_with_its_reason() -> None:
    status = {"outbox": 1, "queued": 2, "retrying": 3, "dead_letters": 4, "counts": {"visits": 5}}
    text = views.statuses({"inspection": status, "scoring": RuntimeError("没有回答")})
    assert "不可用" in text
    assert "评分 scoring：没有回答" in text
    assert "visits 5" in text


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """Exit code and standard error of a command that prints nothing else."""
    code = main(argv)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return code, err


def test_without_a_platform_the_command_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = refused(capsys, "clock")
    assert code == 1
    assert "make run" in err


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("import", "record"):
        code, err = refused(capsys, command, "nowhere.file")
        assert code == 2
        assert "nowhere.file" in err


def test_broken_json_is_refused_with_line_and_column(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "visit.json").write_text('{\n  "visit_id": }')
    code, err = refused(capsys, "record", "visit.json")
    assert code == 2
    assert "第 2 行第 15 列" in err


@pytest.mark.parametrize("document", [{}, [], {"visit_id": "V-1"}, 5, [{"ratings": []}, {}]])
def test_what_is_neither_visit_nor_ratings_is_refused(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any) -> None:
    (tmp_path / "fact.json").write_text(json.dumps(document))
    code, err = refused(capsys, "record", "fact.json")
    assert code == 2
    assert err.startswith("错误：")


def test_a_visit_that_breaks_the_contract_is_refused_with_each_field(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "visit.json").write_text(json.dumps({
        "visit_id": "V-1", "campaign": "c", "campaign_version": 1, "window": "GJ-01", "supervisor": "DC001",
        "kind": "secret", "occurred_at": "yesterday", "answers": [{"item": "F-1"}]}))
    code, err = refused(capsys, "record", "visit.json")
    assert code == 2
    for field in ("kind：", "occurred_at：", "answers.0："):
        assert field in err


def test_501_ratings_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ratings.json").write_text(json.dumps({"batch_id": "B-1", "ratings": [{}] * 501}))
    code, err = refused(capsys, "record", "ratings.json")
    assert code == 2
    assert "ratings：" in err


def test_a_broken_campaign_file_is_refused_with_each_place(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "campaign.yaml").write_text("id: a\nversion: none\n")
    code, err = refused(capsys, "publish", "campaign.yaml")
    assert code == 2
    assert "2:1 version" in err


def test_errors_are_json_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, err = refused(capsys, "score", "window", "--json")
    assert code == 2
    error = json.loads(err)
    assert error["error"] == "InvalidPayload"
    assert error["fields"] == {"code": ["须给出窗口编号"]}


@pytest.mark.parametrize("argv", [
    (), ("score", "street"), ("nonsense",), ("messages", "--state", "lost"), ("clock", "--timeout", "0"),
    ("dead-letters", "list", "--service", "mayor"),
])
def test_a_wrong_command_is_refused_with_code_2(
        argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("错误：命令不对")


def test_replaying_needs_a_dead_letter_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("dead-letters", "replay"), ("dead-letters", "replay", "D-1", "--all")):
        code, err = refused(capsys, *argv)
        assert code == 2
        assert "--all" in err


def test_help_is_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for words in ("用法：mingchuang", "发布活动方案", "重放死信", "platform.json"):
        assert words in text
