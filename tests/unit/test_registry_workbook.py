"""The registry's workbook: what is read, what is tolerated, and how each bad cell is named (clause 二)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from stdnum.cn import uscc

from services.inspection.domain.registry import CellError, Registry, Rows, Sheet, check
from services.inspection.workbook import read

Table = list[list[Any]]


def tables() -> dict[str, Table]:
    """A small city that is all right; each test spoils what it is about."""
    return {
        "行业": [["行业编号", "行业名称"], ["GJ", "公交"], ["YH", "银行"]],
        "单位": [
            ["单位编号", "单位名称", "行业编号", "统一社会信用代码"],
            ["GJ-1", "示例公交公司", "GJ", "919900000000000192"],
            ["YH-1", "示例银行", "YH", "91990000000000027W"],
        ],
        "窗口": [
            ["窗口编号", "窗口名称", "单位编号", "行政区", "地址", "启用日期", "关闭日期", "联系人编号"],
            ["W1", "月票窗口", "GJ-1", "天宁区", "示例路1号", date(2001, 5, 1), None, "L1"],
            ["W2", "储蓄窗口", "YH-1", "新北区", "示例路2号", date(2003, 5, 1), date(2007, 6, 30), "L2"],
        ],
        "联系人": [
            ["联系人编号", "姓名", "电子邮箱"],
            ["L1", "示例联系人001", "l1@example.org"],
            ["L2", "示例联系人002", "l2@example.org"],
        ],
        "督察员": [
            ["督察员编号", "姓名", "电子邮箱", "培训日期", "任期届满"],
            ["D1", "示例督察员001", "d1@example.org", date(2006, 12, 20), date(2007, 12, 31)],
        ],
    }


def packed(content: dict[str, Table], epoch: datetime | None = None) -> bytes:
    workbook = Workbook()
    if epoch:
        workbook.epoch = epoch
    workbook.remove(workbook.active)
    for name, rows in content.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    workbook.save(data)
    return data.getvalue()


def accepted(content: dict[str, Table]) -> Registry:
    registry, errors = read(packed(content))
    assert errors == []
    assert registry is not None
    return registry


def refused(content: dict[str, Table]) -> list[CellError]:
    registry, errors = read(packed(content))
    assert registry is None
    assert errors
    return errors


def place(error: CellError) -> tuple[str, int, str, str]:
    return error.sheet, error.row, error.column, error.header


def test_a_good_workbook_becomes_the_registry_with_each_window_s_contact() -> None:
    registry = accepted(tables()).as_dict()
    assert registry["industries"][0] == {"code": "GJ", "name": "公交"}
    assert registry["units"][1] == {
        "code": "YH-1", "name": "示例银行", "industry": "YH", "uscc": "91990000000000027W",
    }  # fmt: skip
    assert registry["windows"] == [
        {
            "code": "W1", "name": "月票窗口", "unit": "GJ-1", "district": "天宁区", "address": "示例路1号",
            "opened_on": "2001-05-01", "contact_name": "示例联系人001", "contact_email": "l1@example.org",
        },
        {
            "code": "W2", "name": "储蓄窗口", "unit": "YH-1", "district": "新北区", "address": "示例路2号",
            "opened_on": "2003-05-01", "closed_on": "2007-06-30", "contact_name": "示例联系人002",
            "contact_email": "l2@example.org",
        },
    ]  # fmt: skip
    assert registry["supervisors"] == [
        {
            "code": "D1", "name": "示例督察员001", "email": "d1@example.org",
            "trained_on": "2006-12-20", "term_ends": "2007-12-31",
        }
    ]  # fmt: skip


def test_blank_rows_full_width_signs_blanks_extra_sheets_and_columns_are_tolerated() -> None:
    content = tables()
    content["行业"] = [
        [],
        [" 行业编号* ", "行业名称", "备注"],
        ["ＧＪ ", "公交\u3000"],
        [None, "  "],
        [],
        ["YH", "银行", "x"],
    ]
    content["说明"] = [["随便写"]]
    content["联系人"][1] = ["L1\u200b", " 示例联系人００１ ", "l1＠example.org "]
    registry = accepted(content)
    assert registry.industries == [{"code": "GJ", "name": "公交"}, {"code": "YH", "name": "银行"}]
    assert registry.windows[0]["contact_name"] == "示例联系人001"
    assert registry.windows[0]["contact_email"] == "l1@example.org"


def test_columns_may_stand_in_any_order_and_an_optional_one_may_be_absent() -> None:
    content = tables()
    content["窗口"] = [[*row[:6][::-1], row[7]] for row in content["窗口"]]
    assert "closed_on" not in accepted(content).windows[1]


@pytest.mark.parametrize(
    "day",
    [
        date(2007, 3, 5), datetime(2007, 3, 5, 8, 30), 39146, 39146.0, "39146", "2007-03-05", "2007/3/5",
        "2007.3.5", "2007年3月5日", "20070305", 20070305, "２００７－０３－０５",
        " 2007-3-5 ", "2007-03-05 00:00:00",
    ],
)  # fmt: skip
def test_a_day_may_be_a_date_a_serial_number_or_text(day: object) -> None:
    content = tables()
    content["窗口"][1][5] = day
    assert accepted(content).windows[0]["opened_on"] == "2007-03-05"


def test_serial_numbers_of_an_old_mac_workbook_count_from_1904() -> None:
    content = tables()
    content["窗口"][1][5] = 39146 - 1462
    registry, errors = read(packed(content, epoch=CALENDAR_MAC_1904))
    assert errors == []
    assert registry is not None
    assert registry.windows[0]["opened_on"] == "2007-03-05"


def test_a_code_that_the_spreadsheet_took_for_a_number_is_read_as_written() -> None:
    content = tables()
    content["联系人"][1][0] = 101
    content["窗口"][1][7] = 101.0
    assert accepted(content).windows[0]["contact_name"] == "示例联系人001"


def put(sheet: str, row: int, column: int, value: object) -> Callable[[dict[str, Table]], None]:
    def change(content: dict[str, Table]) -> None:
        content[sheet][row][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        (put("行业", 1, 0, None), ("行业", 2, "A", "行业编号"), "不能为空"),
        (put("行业", 1, 0, "公交"), ("行业", 2, "A", "行业编号"), "不是有效编号"),
        (put("行业", 2, 0, "gj"), ("行业", 3, "A", "行业编号"), "与第 2 行重复"),
        (put("行业", 2, 1, "公交"), ("行业", 3, "B", "行业名称"), "与第 2 行重复"),
        (put("行业", 2, 1, "长" * 101), ("行业", 3, "B", "行业名称"), "不得超过 100 字"),
        (put("行业", 2, 1, "公\n交"), ("行业", 3, "B", "行业名称"), "换行"),
        (put("行业", 2, 1, date(2007, 1, 1)), ("行业", 3, "B", "行业名称"), "应为文字"),
        (put("行业", 2, 1, "#REF!"), ("行业", 3, "B", "行业名称"), "公式错误"),
        (put("单位", 1, 2, "XX"), ("单位", 2, "C", "行业编号"), "“行业”表里没有“XX”"),
        (put("单位", 1, 3, "919900000000000193"), ("单位", 2, "D", "统一社会信用代码"), "校验不通过"),
        (put("单位", 1, 3, "91990000000000019"), ("单位", 2, "D", "统一社会信用代码"), "应为 18 位"),
        (put("单位", 1, 3, 919900000000000192), ("单位", 2, "D", "统一社会信用代码"), "以数字存储"),
        (put("单位", 2, 3, "919900000000000192"), ("单位", 3, "D", "统一社会信用代码"), "重复"),
        (put("窗口", 1, 2, "NN"), ("窗口", 2, "C", "单位编号"), "“单位”表里没有“NN”"),
        (put("窗口", 1, 5, "2007-02-30"), ("窗口", 2, "F", "启用日期"), "不存在"),
        (put("窗口", 1, 5, "去年"), ("窗口", 2, "F", "启用日期"), "不是日期"),
        (put("窗口", 1, 5, True), ("窗口", 2, "F", "启用日期"), "不是日期"),
        (put("窗口", 1, 5, "1066-10-14"), ("窗口", 2, "F", "启用日期"), "不像是真实日期"),
        (put("窗口", 2, 6, "2003-04-30"), ("窗口", 3, "G", "关闭日期"), "早于启用日期"),
        (put("窗口", 1, 7, "L9"), ("窗口", 2, "H", "联系人编号"), "“联系人”表里没有“L9”"),
        (put("窗口", 2, 0, "W1"), ("窗口", 3, "A", "窗口编号"), "重复"),
        (put("联系人", 1, 2, "l1.example.org"), ("联系人", 2, "C", "电子邮箱"), "不是有效的电子邮箱"),
        (put("联系人", 1, 2, "l1@example"), ("联系人", 2, "C", "电子邮箱"), "不是有效的电子邮箱"),
        (put("联系人", 1, 2, "a@b.org, c@d.org"), ("联系人", 2, "C", "电子邮箱"), "不是有效的电子邮箱"),
        (put("督察员", 1, 4, "2006-12-19"), ("督察员", 2, "E", "任期届满"), "早于培训日期"),
        (put("督察员", 0, 4, "届满"), ("督察员", 1, "", "任期届满"), "缺少这一列"),
        (put("督察员", 0, 4, "姓名"), ("督察员", 1, "E", "姓名"), "表头重复"),
    ],
)  # fmt: skip
def test_a_bad_cell_is_named_by_sheet_row_and_column_with_the_reason(
    change: Callable[[dict[str, Table]], None], where: tuple[str, int, str, str], reason: str
) -> None:
    content = tables()
    change(content)
    found = {place(error): error.reason for error in refused(content)}
    assert reason in found[where]


def test_a_bad_cell_comes_with_a_good_example() -> None:
    content = tables()
    content["窗口"][1][5] = "去年"
    (error,) = refused(content)
    assert error.as_dict() == {
        "sheet": "窗口",
        "row": 2,
        "column": "F",
        "header": "启用日期",
        "reason": "“去年”不是日期 / not a date",
        "example": "2005-03-01",
    }
    assert str(error) == "窗口!F2 启用日期 “去年”不是日期 / not a date（例 / e.g. 2005-03-01）"


def test_all_errors_are_collected_in_the_order_of_the_workbook_and_nothing_is_imported() -> None:
    content = tables()
    content["督察员"][1][2] = "x"
    content["单位"][2][3] = "1"
    content["窗口"][1][5] = "x"
    content["窗口"][2][0] = None
    content["窗口"][1][0] = "?"
    assert [place(error)[:3] for error in refused(content)] == [
        ("单位", 3, "D"),
        ("窗口", 2, "A"),
        ("窗口", 2, "F"),
        ("窗口", 3, "A"),
        ("督察员", 2, "C"),
    ]


def test_rows_keep_their_numbers_after_blank_rows() -> None:
    content = tables()
    content["行业"] = [*content["行业"], [], [], ["GJ", "重复"]]
    assert [place(error)[:3] for error in refused(content)] == [("行业", 6, "A")]


@pytest.mark.parametrize("sheet", ["行业", "单位", "窗口", "联系人", "督察员"])
def test_a_missing_sheet_is_one_error_and_not_one_for_each_reference_to_it(sheet: str) -> None:
    content = tables()
    del content[sheet]
    assert [place(error) for error in refused(content)] == [(sheet, 0, "", "")]


def test_an_empty_sheet_is_refused_but_supervisors_may_come_later() -> None:
    content = tables()
    del content["联系人"][1:]
    assert [place(error) for error in refused(content)] == [("联系人", 1, "", "")]
    content = tables()
    del content["督察员"][1:]
    assert accepted(content).supervisors == []


def test_a_supervisor_not_yet_trained_is_imported_without_a_day() -> None:
    content = tables()
    content["督察员"][1][3] = None
    assert "trained_on" not in accepted(content).supervisors[0]


def zipped(**parts: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a workbook",
        b"PK\x03\x04",
        packed(tables())[:-200],
        zipped(a="b"),
        zipped(big="0" * 101_000_000),
        b"0" * 10_000_001,
    ],
    ids=["empty", "text", "stub", "cut", "other-zip", "bomb", "too-large"],
)
def test_what_is_no_workbook_is_refused_as_a_file(data: bytes) -> None:
    registry, errors = read(data)
    assert registry is None
    assert [(error.sheet, error.row) for error in errors] == [("", 0)]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert read(data)[0] is None


cells = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.datetimes()
)


@given(
    sheet=st.sampled_from(["行业", "单位", "窗口", "联系人", "督察员"]),
    row=st.integers(1, 2),
    column=st.integers(0, 7),
    value=cells,
)
def test_whatever_stands_in_a_cell_the_check_gives_a_registry_or_errors_and_never_both(
    sheet: str, row: int, column: int, value: Any
) -> None:
    content = tables()
    line = content[sheet][row] if row < len(content[sheet]) else content[sheet][1]
    line[column % len(line)] = value
    registry, errors = check(rows_of(content), uscc.is_valid)
    assert (registry is None) == bool(errors)
    for error in errors:
        assert error.sheet in content
        assert error.reason


def rows_of(content: dict[str, Table]) -> Rows:
    sheets = {}
    for name, (headers, *body) in content.items():
        letters = {header: chr(ord("A") + index) for index, header in enumerate(headers)}
        numbered = [
            (number, dict(zip(headers, row, strict=True))) for number, row in enumerate(body, start=2)
        ]
        sheets[name] = Sheet(letters, numbered)
    return Rows(sheets)
