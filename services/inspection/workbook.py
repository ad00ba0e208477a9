"""Reads the registry from an xlsx workbook with the sheets 行业, 单位, 窗口, 联系人 and 督察员."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from stdnum.cn import uscc

from services.inspection.domain.registry import SHEETS, CellError, Registry, Rows, Sheet, check, plain

MAX_BYTES = 10_000_000
MAX_UNPACKED_BYTES = 100_000_000
# What xlsx allows at most, and more columns than a registry has: a file may claim any number.
MAX_ROWS, MAX_COLUMNS = 1_048_576, 64


def read(data: bytes) -> tuple[Registry | None, list[CellError]]:
    """The registry in the bytes of an xlsx file, or None and every error in it; never an exception.

    A file beyond 10 MB, or 100 MB unpacked, is refused unread.
    """
    problem = _unreadable(data)
    if problem:
        return None, [_of_the_file(problem)]
    try:
        rows = _rows(data)
    except Exception as error:  # openpyxl raises whatever the broken part happens to break
        reason = f"不是有效的 xlsx 文件 / not a valid xlsx file: {type(error).__name__}: {error}"
        return None, [_of_the_file(reason)]
    return check(rows, uscc.is_valid)


def _of_the_file(reason: str) -> CellError:
    return CellError("", 0, "", "", reason, "registry.xlsx")


def _unreadable(data: bytes) -> str | None:
    if len(data) > MAX_BYTES:
        return f"文件有 {len(data)} 字节，超过 {MAX_BYTES} / the file is larger than {MAX_BYTES} bytes"
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            unpacked = sum(part.file_size for part in package.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "不是 xlsx 文件 / not an xlsx file"
    if unpacked > MAX_UNPACKED_BYTES:
        return f"展开后超过 {MAX_UNPACKED_BYTES} 字节 / larger than {MAX_UNPACKED_BYTES} bytes unpacked"
    return None


def _rows(data: bytes) -> Rows:
    workbook = load_workbook(BytesIO(data), read_only=True, data_only=True)
    try:
        names = {plain(name): name for name in workbook.sheetnames}
        sheets = {name: _sheet(workbook[names[name]]) for name in SHEETS if name in names}
        if workbook.epoch == CALENDAR_MAC_1904:
            return Rows(sheets, workbook.epoch.date())
        return Rows(sheets)
    finally:
        workbook.close()


def _sheet(worksheet: Any) -> Sheet:
    # The dimension a file claims may be wrong; without it openpyxl looks for itself.
    worksheet.reset_dimensions()
    columns: dict[str, str] = {}
    doubled: dict[str, str] = {}
    positions: list[tuple[int, str]] = []
    rows: list[tuple[int, dict[str, object]]] = []
    header_row = 0
    for number, values in enumerate(
        worksheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True), start=1
    ):
        if all(not plain(value) for value in values):
            continue
        if header_row:
            cells = {header: values[index] for index, header in positions if index < len(values)}
            if any(plain(value) for value in cells.values()):
                rows.append((number, cells))
            continue
        header_row = number
        for index, value in enumerate(values):
            header, letter = plain(value).strip("* "), get_column_letter(index + 1)
            if header in columns:
                doubled[header] = letter
            elif header:
                columns[header] = letter
                positions.append((index, header))
    return Sheet(columns, rows, header_row or 1, doubled)
