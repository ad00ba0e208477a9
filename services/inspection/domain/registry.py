"""The registry (clause 二): industries, their units, the units' windows with their contacts, the supervisors.

What a spreadsheet says comes in as ``Rows``; ``check`` makes a ``Registry`` of it, or names every bad cell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

INDUSTRIES, UNITS, WINDOWS, CONTACTS, SUPERVISORS = "行业", "单位", "窗口", "联系人", "督察员"


@dataclass(frozen=True)
class CellError:
    """One bad cell. ``row`` counts from 1 as the spreadsheet shows it, 0 means the whole sheet or file.

    ``column`` is the letter of the column, '' where there is none; ``example`` shows a good value.
    """

    sheet: str
    row: int
    column: str
    header: str
    reason: str
    example: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-plain: sheet, row, column, header, reason, example."""
        return asdict(self)

    def __str__(self) -> str:
        place = f"{self.sheet}!{self.column}{self.row or ''}".strip("!")
        shown = f"（例 / e.g. {self.example}）" if self.example else ""
        return " ".join(part for part in (place, self.header, self.reason + shown) if part)


@dataclass(frozen=True)
class Sheet:
    """A sheet as read. ``columns``: header → letter; ``rows``: (number, header → raw value), no blank ones.

    A header that stands twice is in ``doubled``, with the letter of the second.
    """

    columns: Mapping[str, str]
    rows: Sequence[tuple[int, Mapping[str, object]]]
    header_row: int = 1
    doubled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """The sheets by name. ``day_zero``: the day numeric dates count from (1904-01-01 in old Mac files)."""

    sheets: Mapping[str, Sheet]
    day_zero: date = date(1899, 12, 30)


@dataclass(frozen=True)
class Registry:
    """Lists of plain mappings, in the order of the file; an optional value that is not there is left out.

    - industries: code, name
    - units: code, name, industry, uscc
    - windows: code, name, unit, district, address, opened_on, closed_on?, contact_name, contact_email
    - supervisors: code, name, email, trained_on?, term_ends
    """

    industries: list[dict[str, str]]
    units: list[dict[str, str]]
    windows: list[dict[str, str]]
    supervisors: list[dict[str, str]]

    def as_dict(self) -> dict[str, list[dict[str, str]]]:
        """The four lists by their names."""
        return {
            "industries": self.industries,
            "units": self.units,
            "windows": self.windows,
            "supervisors": self.supervisors,
        }


UsccValid = Callable[[str], bool]


@dataclass(frozen=True)
class _Column:
    header: str
    key: str
    kind: str
    example: str
    optional: bool = False
    refers: str = ""
    unique: bool = False


SHEETS: Mapping[str, tuple[_Column, ...]] = {
    INDUSTRIES: (
        _Column("行业编号", "code", "code", "GJ", unique=True),
        _Column("行业名称", "name", "name", "公交", unique=True),
    ),
    UNITS: (
        _Column("单位编号", "code", "code", "GJ-01", unique=True),
        _Column("单位名称", "name", "name", "示例公交第一公司"),
        _Column("行业编号", "industry", "code", "GJ", refers=INDUSTRIES),
        _Column("统一社会信用代码", "uscc", "uscc", "91110000600037341L", unique=True),
    ),
    WINDOWS: (
        _Column("窗口编号", "code", "code", "GJ-01-03", unique=True),
        _Column("窗口名称", "name", "name", "公交月票服务窗口"),
        _Column("单位编号", "unit", "code", "GJ-01", refers=UNITS),
        _Column("行政区", "district", "name", "天宁区"),
        _Column("地址", "address", "name", "天宁区示例路1号"),
        _Column("启用日期", "opened_on", "day", "2005-03-01"),
        _Column("关闭日期", "closed_on", "day", "2007-06-30", optional=True),
        _Column("联系人编号", "contact", "code", "LX001", refers=CONTACTS),
    ),
    CONTACTS: (
        _Column("联系人编号", "code", "code", "LX001", unique=True),
        _Column("姓名", "name", "name", "示例联系人001"),
        _Column("电子邮箱", "email", "email", "lianxi001@example.org"),
    ),
    SUPERVISORS: (
        _Column("督察员编号", "code", "code", "DC001", unique=True),
        _Column("姓名", "name", "name", "示例督察员001"),
        _Column("电子邮箱", "email", "email", "ducha001@example.org"),
        _Column("培训日期", "trained_on", "day", "2006-12-20", optional=True),
        _Column("任期届满", "term_ends", "day", "2007-12-31"),
    ),
}
"""Which sheets and columns are read; other sheets and columns are left alone."""

NAME_MAX = 100

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_DAY_TEXT = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[ T]00:00(?::00)?)?")
_DAY_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})")
_SPREADSHEET_ERRORS = {"#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"}
_EARLIEST, _LATEST = date(1900, 1, 1), date(2999, 12, 31)
_LAST_SERIAL = 200_000
_EXACT_DIGITS = 15


class _Bad(Exception):
    """Why a raw value will not do."""


def plain(raw: object) -> str:
    """The text of a raw value: full-width signs made ordinary, outer blanks cut off, '' for none."""
    if raw is None:
        return ""
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    text = unicodedata.normalize("NFKC", str(raw))
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()


def check(rows: Rows, uscc_valid: UsccValid) -> tuple[Registry | None, list[CellError]]:
    """The registry, or None and every bad cell in the order of sheets, rows and columns; never both.

    ``uscc_valid`` says whether a 统一社会信用代码 of 18 signs has the right form and check digit.
    """
    errors: list[CellError] = []
    tables: dict[str, list[_Record]] = {}
    for name, columns in SHEETS.items():
        sheet = rows.sheets.get(name)
        if sheet is None:
            errors.append(CellError(name, 0, "", "", f"缺少工作表“{name}” / the sheet is missing", name))
            continue
        usable = _check_headers(name, columns, sheet, errors)
        if not sheet.rows and name != SUPERVISORS:
            reason = "工作表没有数据 / the sheet has no rows"
            errors.append(CellError(name, sheet.header_row, "", "", reason))
        tables[name] = [
            _read_row(name, usable, sheet, row, raw, rows.day_zero, uscc_valid, errors)
            for row, raw in sheet.rows
        ]
    for name, records in tables.items():
        _check_unique(name, records, rows.sheets[name], errors)
        _check_references(name, records, tables, rows.sheets[name], errors)
        _check_order_of_days(name, records, rows.sheets[name], errors)
    if errors:
        order = list(SHEETS)
        errors.sort(key=lambda e: (order.index(e.sheet), e.row, len(e.column), e.column))
        return None, errors
    return _build(tables), []


@dataclass(frozen=True)
class _Record:
    """A row's good values by key; what was empty or bad is not in it."""

    row: int
    values: dict[str, str]


def _check_headers(
    name: str, columns: tuple[_Column, ...], sheet: Sheet, errors: list[CellError]
) -> list[_Column]:
    usable = []
    for column in columns:
        if column.header in sheet.doubled:
            letters = f"{sheet.columns[column.header]}、{sheet.doubled[column.header]}"
            errors.append(
                CellError(
                    name,
                    sheet.header_row,
                    sheet.doubled[column.header],
                    column.header,
                    f"表头重复（{letters} 列） / the header stands twice",
                )
            )
        if column.header in sheet.columns:
            usable.append(column)
        elif not column.optional:
            errors.append(
                CellError(
                    name,
                    sheet.header_row,
                    "",
                    column.header,
                    "缺少这一列 / the column is missing",
                    column.header,
                )
            )
    return usable


def _read_row(
    name: str,
    columns: list[_Column],
    sheet: Sheet,
    row: int,
    raw: Mapping[str, object],
    day_zero: date,
    uscc_valid: UsccValid,
    errors: list[CellError],
) -> _Record:
    values: dict[str, str] = {}
    for column in columns:
        try:
            value = _value(column, raw.get(column.header), day_zero, uscc_valid)
        except _Bad as bad:
            errors.append(
                CellError(name, row, sheet.columns[column.header], column.header, str(bad), column.example)
            )
        else:
            if value:
                values[column.key] = value
    return _Record(row, values)


def _value(column: _Column, raw: object, day_zero: date, uscc_valid: UsccValid) -> str:
    text = plain(raw)
    if not text:
        if column.optional:
            return ""
        raise _Bad("不能为空 / must not be empty")
    if text.upper() in _SPREADSHEET_ERRORS:
        raise _Bad(f"单元格是公式错误 {text} / the cell holds a formula error")
    if column.kind == "day":
        return _day(raw, text, day_zero).isoformat()
    if isinstance(raw, datetime | date | bool):
        raise _Bad(f"应为文字，单元格却是“{text}” / must be text; set the cell's format to text")
    if column.kind == "code":
        return _code(text)
    if column.kind == "uscc":
        return _uscc(raw, text, uscc_valid)
    if column.kind == "email":
        return _email(text)
    return _name(text)


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise _Bad(
            f"“{text}”不是有效编号：限字母、数字和 . _ -，至多 32 位 / letters, digits, . _ -, at most 32"
        )
    return text


def _name(text: str) -> str:
    if len(text) > NAME_MAX:
        raise _Bad(f"共 {len(text)} 字，不得超过 {NAME_MAX} 字 / at most {NAME_MAX} characters")
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise _Bad("不能有换行或控制字符 / must not hold line breaks or control characters")
    return text


def _email(text: str) -> str:
    if len(text) > 254 or not _EMAIL.fullmatch(text):
        raise _Bad(f"“{text}”不是有效的电子邮箱 / not a valid e-mail address")
    return text


def _uscc(raw: object, text: str, uscc_valid: UsccValid) -> str:
    if isinstance(raw, int | float) and abs(raw) >= 10**_EXACT_DIGITS:
        raise _Bad(
            "以数字存储，末几位已丢失，请改为文本 / stored as a number, its last digits are lost: use text"
        )
    code = re.sub(r"[\s-]", "", text).upper()
    if len(code) != 18:
        raise _Bad(f"“{code}”有 {len(code)} 位，应为 18 位 / must have 18 signs")
    if not code.isascii() or not uscc_valid(code):
        raise _Bad(f"“{code}”校验不通过 / wrong form or check digit")
    return code


def _day(raw: object, text: str, day_zero: date) -> date:
    day: date | None = None
    if isinstance(raw, datetime):
        # A time of day has no meaning here; spreadsheets store dates as midnight.
        day = raw.date()
    elif isinstance(raw, date):
        day = raw
    elif isinstance(raw, bool):
        day = None
    elif isinstance(raw, int | float) and 0 < raw < _LAST_SERIAL:
        day = day_zero + timedelta(days=int(raw))
    elif match := _DAY_TEXT.fullmatch(text) or _DAY_DIGITS.fullmatch(text):
        try:
            day = date(*(int(part) for part in match.groups()[:3]))
        except ValueError:
            raise _Bad(f"“{text}”这一天不存在 / there is no such day") from None
    elif isinstance(raw, str) and text.isdigit() and 0 < int(text[:9]) < _LAST_SERIAL and len(text) == 5:
        day = day_zero + timedelta(days=int(text))
    if day is None:
        raise _Bad(f"“{text}”不是日期 / not a date")
    if not _EARLIEST <= day <= _LATEST:
        raise _Bad(f"“{day}”不像是真实日期 / out of range, {_EARLIEST} to {_LATEST}")
    return day


def _check_unique(name: str, records: list[_Record], sheet: Sheet, errors: list[CellError]) -> None:
    for column in SHEETS[name]:
        if not column.unique:
            continue
        first: dict[str, int] = {}
        for record in records:
            value = record.values.get(column.key)
            if value is None:
                continue
            # Codes that differ only in case would be told apart by nobody who reads them.
            before = first.setdefault(value.casefold(), record.row)
            if before != record.row:
                reason = f"“{value}”与第 {before} 行重复 / duplicate of row {before}"
                errors.append(
                    CellError(name, record.row, sheet.columns[column.header], column.header, reason)
                )


def _check_references(
    name: str,
    records: list[_Record],
    tables: Mapping[str, list[_Record]],
    sheet: Sheet,
    errors: list[CellError],
) -> None:
    for column in SHEETS[name]:
        target = tables.get(column.refers)
        if not target:
            # That sheet's absence is reported; each reference would be one more error of the same cause.
            continue
        known = {record.values["code"] for record in target if "code" in record.values}
        for record in records:
            value = record.values.get(column.key)
            if value is not None and value not in known:
                reason = f"“{column.refers}”表里没有“{value}” / no such code in that sheet"
                errors.append(
                    CellError(
                        name,
                        record.row,
                        sheet.columns[column.header],
                        column.header,
                        reason,
                        min(known, default=column.example),
                    )
                )


_ORDERED_DAYS = {
    WINDOWS: ("opened_on", "closed_on"),
    SUPERVISORS: ("trained_on", "term_ends"),
}


def _check_order_of_days(name: str, records: list[_Record], sheet: Sheet, errors: list[CellError]) -> None:
    if name not in _ORDERED_DAYS:
        return
    earlier, later = (next(c for c in SHEETS[name] if c.key == key) for key in _ORDERED_DAYS[name])
    for record in records:
        first, last = record.values.get(earlier.key), record.values.get(later.key)
        if first is not None and last is not None and last < first:
            reason = f"{later.header} {last} 早于{earlier.header} {first} / earlier than {first}"
            errors.append(
                CellError(name, record.row, sheet.columns[later.header], later.header, reason, later.example)
            )


def _build(tables: Mapping[str, list[_Record]]) -> Registry:
    contacts = {record.values["code"]: record.values for record in tables[CONTACTS]}
    windows = []
    for record in tables[WINDOWS]:
        values = dict(record.values)
        contact = contacts[values.pop("contact")]
        windows.append({**values, "contact_name": contact["name"], "contact_email": contact["email"]})
    return Registry(
        industries=[dict(record.values) for record in tables[INDUSTRIES]],
        units=[dict(record.values) for record in tables[UNITS]],
        windows=windows,
        supervisors=[dict(record.values) for record in tables[SUPERVISORS]],
    )
