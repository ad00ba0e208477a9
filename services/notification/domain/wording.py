"""How figures and facts read in a mail."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

SHANGHAI = timezone(timedelta(hours=8))
AXES = {"norms": "服务规范", "facilities": "服务设施", "quality": "服务质量"}
VERDICTS = {"met": "达到目标", "missed": "未达目标", "insufficient": "评价尚不足以判定"}


def percent(ratio: str | None) -> str:
    """``"0.9345"`` as ``93.45%``, half up; a dash for none."""
    if ratio is None:
        return "—"
    return f"{(Decimal(ratio) * 100).quantize(Decimal('0.01'), ROUND_HALF_UP)}%"


def moment(instant: str) -> str:
    """A wire instant as it reads in Shanghai: ``2007年3月15日 9:30``."""
    at = datetime.fromisoformat(instant).astimezone(SHANGHAI)
    return f"{at.year}年{at.month}月{at.day}日 {at.hour}:{at.minute:02d}"


def day(iso: str | None) -> str:
    """``2007-03-15`` as ``2007年3月15日``."""
    if not iso:
        return "—"
    year, month, number = (int(part) for part in iso.split("-"))
    return f"{year}年{month}月{number}日"


def grade(finding: dict[str, bool]) -> str:
    """关键项 (critical) weighs more than 必查项 (required)."""
    return "关键项" if finding["critical"] else "必查项"
