"""Figures in words and as shares of a line: what pages write and draw. Figures are taken as given.

Points are text on 0–100 with two decimals (``87.35``), ratios text on 0–1 (``0.9532``); None is "no figure".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NO_FIGURE = "—"
# A fixed offset: China has had no summer time since 1991, and a bare machine may have no time zone data.
_SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

VERDICTS = {"met": "已达目标", "missed": "未达目标", "insufficient": "评价不足，尚难判定"}
RULES = {
    "facility": "设施 F",
    "quality": "质量 Q",
    "phrases": "四句话标准",
    "conformity": "达标",
    "satisfaction.lenient": "前三档占比",
    "satisfaction.strict": "前两档占比",
    "satisfaction.index": "满意指数",
    "satisfaction.verdict": "满意度判定",
}
VERDICTS_SHORT = {"met": "已达", "missed": "未达", "insufficient": "待判"}
AXES = {"norms": "服务规范", "facilities": "服务设施", "facility": "服务设施", "quality": "服务质量"}
LEVELS = {"window": "窗口", "industry": "行业", "city": "全市"}
WHATS = {
    "open": "开办",
    "conforming": "达标",
    "verdict": "满意度判定",
    "facility": "设施 F",
    "quality": "质量 Q",
}
DEFINITIONS = (
    ("lenient", "前三档占比", "（非常满意＋满意＋基本满意）÷ 评价数，目标按此判定"),
    ("strict", "前两档占比", "（非常满意＋满意）÷ 评价数"),
    ("index", "满意指数", "五档折分的平均，满分 100"),
)


def percent(ratio: str | None, places: int = 2) -> str:
    """``0.9532`` as ``95.32%``, rounded half up; a dash for None."""
    if ratio is None:
        return NO_FIGURE
    return f"{(Decimal(ratio) * 100).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)}%"


def line(ratio: str) -> str:
    """A threshold without idle zeros: ``0.95`` is ``95%``."""
    text = f"{Decimal(ratio) * 100:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def points(figure: str | None) -> str:
    """A figure as given, a dash for None."""
    return NO_FIGURE if figure is None else figure


def day_words(day: str | None) -> str:
    """``2007-03-01`` as ``2007年3月1日``."""
    if not day:
        return NO_FIGURE
    moment = date.fromisoformat(day)
    return f"{moment.year}年{moment.month}月{moment.day}日"


def moment_words(instant: str | None) -> str:
    """An RFC 3339 instant as Shanghai time: ``2007年3月1日 09:30``."""
    if not instant:
        return NO_FIGURE
    moment = datetime.fromisoformat(instant).astimezone(_SHANGHAI)
    return f"{day_words(moment.date().isoformat())} {moment:%H:%M}"


def verdict_sentence(satisfaction: Mapping[str, Any] | None) -> str:
    """The verdict with what it rests on, and how many ratings are still needed where it is open."""
    if not satisfaction or not satisfaction.get("n"):
        return "尚无计入的评价，不能判定。"
    target = line(satisfaction["target"])
    basis = ""
    if satisfaction.get("verdict_day"):
        day, rested_on = satisfaction["verdict_day"], grouped(satisfaction.get("verdict_n", 0))
        basis = f"（据截至{day_words(day)}的 {rested_on} 份评价）"
    match satisfaction["verdict"]:
        case "met":
            return f"综合满意度已达到 {target} 的目标{basis}。"
        case "missed":
            return f"综合满意度未达到 {target} 的目标{basis}。"
    needed = satisfaction.get("ratings_needed")
    if needed is None:
        return f"评价不足以判定是否达到 {target}：目前比例恰在目标线上，再多评价也未必能判{basis}。"
    if needed == 0:
        return f"现有评价已够判定是否达到 {target}，待当日结束后作出{basis}。"
    return f"评价不足以判定是否达到 {target}：照目前比例，约需再有 {grouped(needed)} 份评价{basis}。"


def shift_words(shift: Mapping[str, Any]) -> str:
    """One change as a sentence: ``设施 F 85.00 → 87.35``, ``由不达标转为达标``."""
    what, before, after = shift["what"], shift["before"], shift["after"]
    match what:
        case "conforming":
            if before is None:
                return "达标" if after else "尚未达标"
            return "由未达标转为达标" if after else "由达标转为未达标"
        case "verdict":
            words = VERDICTS.get(after, after)
            return (
                f"满意度判定：{words}"
                if before is None
                else f"满意度判定：{VERDICTS.get(before, before)} → {words}"
            )
        case "open":
            return "恢复开办" if after else "停止开办"
    name = WHATS.get(what, what)
    return (
        f"{name} 首次得分 {points(after)}"
        if before is None and after is not None
        else (f"{name} {points(before)} → {points(after)}")
    )


def phase_on(campaign: Mapping[str, Any], day: str | None) -> Mapping[str, Any] | None:
    """The phase of the campaign in which the day falls, both ends included."""
    for phase in campaign.get("phases", ()):
        if day and phase["starts"] <= day <= phase["ends"]:
            found: Mapping[str, Any] = phase
            return found
    return None


def campaign_in_force(campaigns: Iterable[Mapping[str, Any]], day: str | None) -> Mapping[str, Any] | None:
    """The campaign version to show; None while none is known.

    Of the campaigns opened by the day (else of all) the last opened one, in its highest version in effect on
    the day; in its first one before any is.
    """
    known = list(campaigns)
    opened = [campaign for campaign in known if day and campaign["opens"] <= day] or known
    if not opened:
        return None
    last = max(opened, key=lambda campaign: (campaign["opens"], campaign["id"]))
    versions = [campaign for campaign in known if campaign["id"] == last["id"]]
    effective = [
        one for one in versions if not one.get("effective_on") or (day and one["effective_on"] <= day)
    ]
    if effective:
        return max(effective, key=lambda campaign: int(campaign["version"]))
    return min(versions, key=lambda campaign: int(campaign["version"]))


def axis_start(satisfactions: Iterable[Mapping[str, Any] | None]) -> int:
    """Where the common axis of intervals starts, in percent: a multiple of ten below all, at most 80."""
    lowest = Decimal(80)
    for one in satisfactions:
        if one and one.get("wilson_low") is not None:
            lowest = min(lowest, Decimal(one["wilson_low"]) * 100)
    return max(0, int(lowest // 10 * 10))


def place(ratio: str, start: int = 0) -> str:
    """Where a ratio lies on an axis from ``start`` to 100 %: ``0.85`` on one from 70 is ``50.00%``."""
    share = (Decimal(ratio) * 100 - start) * 100 / (100 - start)
    return f"{min(max(share, Decimal(0)), Decimal(100)).quantize(Decimal('0.01'), ROUND_HALF_UP)}%"


def span(low: str, high: str, start: int = 0) -> str:
    """The length between two ratios on the same axis, as an SVG percentage."""
    return f"{Decimal(place(high, start)[:-1]) - Decimal(place(low, start)[:-1])}%"


def share_of(part: int | str | None, whole: int | str | None) -> str:
    """The length of a bar showing ``part`` of ``whole``, for SVG; nothing of nothing is ``0%``."""
    if part is None or not whole or not Decimal(whole):
        return "0%"
    return f"{(Decimal(part) * 100 / Decimal(whole)).quantize(Decimal('0.01'), ROUND_HALF_UP)}%"


def rule_name(figure: str, names: Mapping[str, str]) -> str:
    """The name of the figure a rule forms; ``names``: dimension id → name."""
    kind, _, id_ = figure.partition(":")
    return names.get(id_, id_) if kind == "dimension" else RULES.get(figure, figure)


def missing_id(what: str) -> str:
    """The id to name beside a reason that does not say it: of a visit or an unknown window, else nothing."""
    kind, _, id_ = what.partition(":")
    return id_ if kind in ("visit", "window") else ""


def answer_words(answer: Mapping[str, Any]) -> str:
    """An answer as people write it: ``合格``, ``4 分``, ``9 / 10``."""
    if "observed" in answer:
        return f"{answer['observed']} / {answer['of']}"
    if "value" in answer:
        return f"{answer['value']} 分"
    result = answer.get("result")
    return {"pass": "合格", "fail": "不合格", "na": "不适用"}.get(str(result), str(result))


def grouped(count: int) -> str:
    """``12,345``."""
    return f"{count:,}"


def ticks(start: int) -> list[tuple[str, str]]:
    """Label and place of each tenth of an axis from ``start`` to 100 %."""
    return [(f"{at}%", place(f"{at / 100}", start)) for at in range(start, 101, 10)]
