"""What the command line prints for people: each answer of the platform as Chinese text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mingchuang.tables import pairs, table

Json = dict[str, Any]

VERDICTS = {"met": "达到", "missed": "未达到", "insufficient": "评价不足"}
AXES = {"norms": "规范", "facilities": "设施", "facility": "设施", "quality": "质量"}
LEVELS = {"window": "窗口", "industry": "行业", "city": "全市"}
STATES = {"due": "待发", "sending": "发送中", "sent": "已发", "failed": "失败"}
SERVICES = {"inspection": "督查", "scoring": "评分", "notification": "通知", "reporting": "通报"}
CLOCK = (("now", "时刻（UTC）"), ("day", "活动日"), ("completed_day", "已完成的活动日"),
         ("driven", "由演练驱动"))


def percent(ratio: str | None) -> str | None:
    """'0.9512' as '95.12%'; the digits that were there are kept."""
    if ratio is None:
        return None
    whole, _, part = ratio.partition(".")
    digits = f"{whole}{part.ljust(2, '0')}"
    left, right = digits[: len(whole) + 2].lstrip("0") or "0", digits[len(whole) + 2 :]
    return f"{left}.{right}%" if right else f"{left}%"


def score(answer: Json) -> str:
    """A window's, industry's or the city's figure with its n, definitions, conformity and what is missing."""
    figure = answer["figure"]
    head = f"{LEVELS[answer['level']]} {answer['code']} {figure.get('name') or ''}".strip()
    version = f"第 {answer['version']} 版，" if "version" in answer else ""
    parts = [f"{head}（{version}活动方案第 {figure.get('campaign_version')} 版）"]
    parts.append(pairs([("五个有（设施）", figure.get("facility")), ("五个好（质量）", figure.get("quality")),
                        *_satisfaction(figure.get("satisfaction") or {}), *_extent(figure)]))
    if figure.get("dimensions"):
        parts.append(table(("项目", "类别", "得分", "权重", "有结果的检查项"), [
            (row["name"], AXES.get(row["axis"], row["axis"]), row["figure"], row["weight"],
             f"{row['items_with_state']}/{row['items']}")
            for row in figure["dimensions"]]))
    parts.append(conformity(figure.get("conformity") or {}))
    missing = figure.get("missing") or []
    if missing:
        parts.append("尚缺：\n" + "\n".join(f"  {row['what']}：{row['reason']}" for row in missing))
    return "\n\n".join(parts)


def _satisfaction(figure: Json) -> list[tuple[str, Any]]:
    n = figure.get("n", 0)
    low, high = percent(figure.get("wilson_low")), percent(figure.get("wilson_high"))
    verdict = VERDICTS.get(figure.get("verdict", ""), figure.get("verdict"))
    day = figure.get("verdict_day")
    return [
        ("有效评价 n", n),
        ("满意率（前三级，通行口径）", percent(figure.get("lenient"))),
        ("满意率（前两级，从严口径）", percent(figure.get("strict"))),
        ("满意指数（分值平均）", figure.get("index")),
        ("满意率的 95% 区间", f"{low} – {high}" if low and high else None),
        ("目标 / 参考线", f"{percent(figure.get('target'))} / {percent(figure.get('reference'))}"),
        ("结论", f"{verdict}（{day} 判定，n = {figure.get('verdict_n')}）" if day else verdict),
        ("按目前比率尚需评价", figure.get("ratings_needed")),
    ]


def _extent(figure: Json) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    coverage, windows = figure.get("coverage") or {}, figure.get("windows") or {}
    if coverage:
        rows.append(("查访 / 有结果的检查项", f"{coverage['visits']} / {coverage['items_with_state']}"
                     f"（共 {coverage['items']} 项）"))
    if windows:
        rows.append(("达标窗口 / 开放窗口", f"{windows['conforming']} / {windows['open']}"))
    industries = figure.get("industries")
    if isinstance(industries, dict):
        rows.append(("达标行业 / 有开放窗口的行业",
                     f"{industries['conforming']} / {industries['with_open_windows']}"))
    return rows


def conformity(figure: Json) -> str:
    """Whether it conforms, and each gap with its clause."""
    if not figure:
        return "达标：尚无结果"
    gaps = [(AXES.get(axis["axis"], axis["axis"]), gap)
            for axis in figure.get("axes", []) for gap in axis["gaps"]]
    head = f"达标：{'是' if figure.get('conforming') else '否'}"
    if not gaps:
        return head
    rows = [(axis, gap.get("window_name") or gap.get("window"),
             gap.get("item") or gap.get("items"), gap.get("name"), gap.get("clause"), gap.get("reason"))
            for axis, gap in gaps]
    heads = ("方面", "窗口", "检查项", "名称", "条款", "原因")
    used = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    return f"{head}；差距 {len(gaps)} 处\n" + table(
        [heads[i] for i in used], [[row[i] for i in used] for row in rows])


def explanation(answer: Json) -> str:
    """A window's figure down to each answer, visit, group of ratings and rule."""
    found = answer["explanation"]
    parts = [score({"level": "window", **answer})]
    parts.append("作答\n" + table(
        ("检查项", "名称", "条款", "作答", "得分", "合格", "权重", "必查", "否决", "查访", "方案版本",
         "规则"),
        [(row["item"], row["name"], row["clause"], row["answer"], row["score"], row["passes"],
          row["weight"], row["required"], row["critical"], row["visit"], row["campaign_version"], row["rule"])
         for row in found["items"]]))
    parts.append("查访的质量得分\n" + table(("查访", "时刻", "方案版本", "得分"), [
        (row["visit"], row["occurred_at"], row["campaign_version"], row["quality"])
        for row in found["visits"]]))
    parts.append("评价\n" + table(
        ("渠道", "五级", "四级", "三级", "二级", "一级"), _by_channel(found["ratings"])))
    parts.append("规则\n" + table(("数字", "算法", "条款", "方案版本"), [
        (row["figure"], row["formula"], row["clause"], row["policy_version"]) for row in found["rules"]]))
    return "\n\n".join(parts)


def _by_channel(groups: list[Json]) -> list[tuple[Any, ...]]:
    totals: dict[str, Counter[str]] = {}
    for group in groups:
        totals.setdefault(group["channel"], Counter()).update(group["counts"])
    return [(channel, *(counts[str(level)] for level in (5, 4, 3, 2, 1)))
            for channel, counts in sorted(totals.items())]


def verification(answer: Json) -> str:
    """Whether the figures equal a rebuild, and the facts those of inspection; else where they differ."""
    words = {"equal": "一致", "different": "不一致", "unknown": "无法比较"}
    text = pairs([
        ("评分与从头重算", words[answer["state"]]), ("事实与督查服务", words[answer["facts"]]),
        ("查访", answer["visits"]), ("评价", answer["ratings"]), ("窗口", answer["windows"]),
    ])
    if answer["differences"]:
        text += "\n\n不一致之处\n" + "\n".join(f"  {cell_line(row)}" for row in answer["differences"])
    return text


def cell_line(row: Json) -> str:
    return "，".join(f"{name}={value}" for name, value in row.items())


def recorded_visit(answer: Json) -> str:
    words = {"recorded": "已收录", "amended": "已更正", "voided": "已作废"}
    status = words.get(answer["status"], answer["status"])
    return (f"查访 {answer['visit_id']}：{status}，第 {answer['version']} 版，"
            f"问题 {answer.get('findings', 0)} 处")


def recorded_ratings(batch: str, answer: Json) -> str:
    return (f"评价批次 {batch}：收录 {len(answer['accepted'])} 条，重复 {len(answer['duplicates'])} 条，"
            f"拒收 {len(answer['rejected'])} 条")


def imported(answer: Json) -> str:
    counts = [(name, answer.get(key)) for key, name in (
        ("industries", "行业"), ("units", "单位"), ("windows", "窗口"), ("supervisors", "督察员"),
        ("changed_windows", "新增或变更的窗口"))]
    head = "已导入" if answer.get("changed_windows") else "已导入；窗口与上次相同，没有变更"
    return head + "\n" + pairs([(name, count) for name, count in counts if count is not None])


def messages(answer: Json) -> str:
    """The mails, newest first, under how many there are in each state."""
    counts = "，".join(
        f"{STATES.get(state, state)} {count}" for state, count in answer["counts"].items())
    rows = [(row["id"], STATES.get(row["state"], row["state"]), row["recipient"], row["subject"],
             row["tries"], row["sent_at"] or row["created_at"], row["last_words"])
            for row in answer["messages"]]
    text = f"邮件：{counts or '无'}\n\n" + table(
        ("编号", "状态", "收件人", "主题", "次数", "时刻", "邮件服务器的答复"), rows)
    if answer.get("next"):
        text += f"\n\n还有更早的：--after {answer['next']}"
    return text


def dead_letter_rows(service: str, answer: Json) -> list[tuple[Any, ...]]:
    states = {"waiting": "待处理", "replayed": "已重放"}
    return [(service, row["id"], states.get(row["state"], row["state"]), row["queue"], row["type"],
             row["cause"], row["at"]) for row in answer["dead_letters"]]


def dead_letters(rows: list[tuple[Any, ...]]) -> str:
    return table(("服务", "编号", "状态", "队列", "类型", "原因", "时刻"), rows)


def statuses(answers: Mapping[str, Json | Exception]) -> str:
    """The four services side by side; one that does not answer with its reason."""
    rows = []
    notes = []
    for service, answer in answers.items():
        name = f"{SERVICES[service]} {service}"
        if isinstance(answer, Exception):
            rows.append([name, "不可用", None, None, None, None])
            notes.append(f"{name}：{answer}")
            continue
        backlog = [answer[key] for key in ("outbox", "queued", "retrying", "dead_letters")]
        rows.append([name, "正常", *backlog])
        counts = "，".join(f"{key} {count}" for key, count in sorted(answer["counts"].items()))
        notes.append(f"{name}：{counts}")
    return table(("服务", "状态", "待发事件", "排队", "待重试", "死信"), rows) + "\n\n" + "\n".join(notes)


def clock(answer: Json) -> str:
    return pairs([(name, answer[key]) for key, name in CLOCK])
