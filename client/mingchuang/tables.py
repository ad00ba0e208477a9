"""Plain-text tables whose columns stand straight although Chinese characters are two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def cell(value: Any) -> str:
    """A value as people read it: nothing as a dash, truth as 是 or 否, lists joined."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, (list, tuple)):
        return "、".join(cell(one) for one in value) or "—"
    if isinstance(value, dict):
        return "，".join(f"{name} {cell(one)}" for name, one in value.items()) or "—"
    return " ".join(str(value).split())


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The rows under their heads; numbers to the right. Without rows: （无）."""
    listed = [list(row) for row in rows]
    if not listed:
        return "（无）"
    texts = [[cell(value) for value in row] for row in listed]
    right = [
        all(isinstance(row[i], (int, float)) and not isinstance(row[i], bool) for row in listed)
        for i in range(len(heads))
    ]
    widths = [max(width(row[i]) for row in [list(heads), *texts]) for i in range(len(heads))]
    lines = [_line(heads, widths, right), "  ".join("─" * wide for wide in widths)]
    return "\n".join([*lines, *(_line(row, widths, right) for row in texts)])


def pairs(rows: Iterable[tuple[str, Any]]) -> str:
    """Names and values in two columns."""
    listed = [(name, cell(value)) for name, value in rows]
    wide = max((width(name) for name, _ in listed), default=0)
    return "\n".join(f"{name}{' ' * (wide - width(name))}  {value}" for name, value in listed)


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = []
    for text, wide, to_right in zip(texts, widths, right, strict=True):
        space = " " * (wide - width(text))
        cells.append(space + text if to_right else text + space)
    return "  ".join(cells).rstrip()
