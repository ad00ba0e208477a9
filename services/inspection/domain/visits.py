"""What makes a visit acceptable, and what may follow it. Every problem is named by its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.inspection.domain.campaigns import Campaign, Item
from services.inspection.domain.clock import day_of
from services.inspection.domain.findings import passes
from services.inspection.domain.windows import Window, day_problem

Problems = dict[str, list[str]]
"""Place in the payload (``answers.3.value``) → reasons."""

FORMS = {"pass_fail": "result", "scale": "value", "count": "observed"}
FORM_TEXT = {"result": "result (pass/fail/na)", "value": "value", "observed": "observed + of"}


def missing(
    body: Mapping[str, Any],
    campaign: Campaign | None,
    versions: Sequence[int],
    window: Window | None,
    supervisor_known: bool,
) -> Problems:
    """What the visit names and does not exist. ``versions``: the published ones of its campaign."""
    absent: Problems = {}
    if not versions:
        absent["campaign"] = [f"未知活动 / no such campaign: {body['campaign']}"]
    elif campaign is None:
        known = ", ".join(str(version) for version in versions)
        absent["campaign_version"] = [
            f"未发布的版本 / not published: {body['campaign_version']}; published: {known}"
        ]
    if window is None:
        absent["window"] = [f"未知窗口 / no such window: {body['window']}"]
    if not supervisor_known:
        absent["supervisor"] = [f"未知督察员 / no such supervisor: {body['supervisor']}"]
    return absent


def problems_of(
    body: Mapping[str, Any],
    campaign: Campaign,
    window: Window,
    now: datetime,
    elsewhere: Mapping[str, Sequence[int]],
) -> Problems:
    """All that is wrong with a visit whose campaign version and window exist; empty: it counts.

    ``now``: the campaign clock. ``elsewhere``: item → the other versions of the campaign that have it.
    """
    found: Problems = {}
    reasons = time_problems(datetime.fromisoformat(body["occurred_at"]), campaign, window, now)
    if reasons:
        found["occurred_at"] = reasons
    seen: dict[str, int] = {}
    for index, answer in enumerate(body["answers"]):
        item = campaign.items.get(answer["item"])
        if item is None:
            found[f"answers.{index}.item"] = [unknown_item(answer["item"], campaign, elsewhere)]
            continue
        if item.id in seen:
            reason = f"重复作答 / answered twice: {item.id}, first in answers.{seen[item.id]}"
            found.setdefault(f"answers.{index}.item", []).append(reason)
        seen.setdefault(item.id, index)
        for name, reason in answer_problems(item, answer).items():
            found.setdefault(f"answers.{index}.{name}", []).append(reason)
    return found


def time_problems(occurred_at: datetime, campaign: Campaign, window: Window, now: datetime) -> list[str]:
    """Why nothing can have occurred then: in the future, outside the campaign, the window not open."""
    day = day_of(occurred_at)
    reasons = []
    if occurred_at > now:
        reasons.append(f"时间在未来 / in the future: the campaign clock stands at {now.isoformat()}")
    if day < campaign.opens:
        reasons.append(f"早于活动开始 / before the campaign: it opens on {campaign.opens}")
    if day > campaign.closes:
        reasons.append(f"晚于活动结束 / after the campaign: it closed on {campaign.closes}")
    closed = day_problem(window, day)
    return [*reasons, closed] if closed else reasons


def unknown_item(item: str, campaign: Campaign, elsewhere: Mapping[str, Sequence[int]]) -> str:
    """Why an item cannot be answered: it belongs to another version of the campaign, or to none."""
    others = elsewhere.get(item)
    if others:
        named = ", ".join(str(version) for version in others)
        return (
            f"{item} 属于活动的另一版本 / item of another campaign version: {named}; "
            f"this visit is of version {campaign.version}"
        )
    return f"未知检查项 / no such item in {campaign.id} version {campaign.version}: {item}"


def answer_problems(item: Item, answer: Mapping[str, Any]) -> dict[str, str]:
    """Field → reason, for an answer of exactly one form. At most one reason, the first that matters."""
    form = next(name for name in FORM_TEXT if name in answer)
    noted = bool(answer.get("note", "").strip())
    if answer.get("result") == "na":
        return {} if noted else {"note": "不适用须说明原因 / na needs a note that says why"}
    if form != FORMS[item.kind]:
        wanted = FORM_TEXT[FORMS[item.kind]]
        return {
            form: f"{item.id} 须以 {wanted} 作答 / a {item.kind} item is answered by {wanted}, or result na"
        }
    if form == "value" and not 0 <= answer["value"] <= item.max:
        return {"value": f"超出量程 / beyond the scale: 0..{item.max}"}
    if form == "observed" and answer["of"] < 1:
        return {"of": "须大于 0 / must be greater than 0"}
    if form == "observed" and not 0 <= answer["observed"] <= answer["of"]:
        return {"observed": f"不得大于 of / observed must not exceed of ({answer['of']})"}
    evident = noted or bool(answer.get("photo", "").strip())
    if item.demands_evidence and passes(item, answer) is False and not evident:
        return {
            "note": f"{item.id} 不合格须附说明或照片 / "
            "a failed required or critical item needs a note or a photo"
        }
    return {}


def fixed_problems(body: Mapping[str, Any], current: Mapping[str, Any]) -> Problems:
    """What an amendment must not change: the window and the campaign of the visit."""
    return {
        name: [
            f"{label}不可更改，请作废后重新记录 / "
            f"cannot change from {current[name]}: void the visit and record it anew"
        ]
        for name, label in (("window", "窗口"), ("campaign", "活动"))
        if body[name] != current[name]
    }


def fact_of(
    body: Mapping[str, Any],
    version: int,
    recorded_at: str,
    findings: list[dict[str, Any]],
) -> dict[str, Any]:
    """The fact a version of a visit is (the shape of the contract's ``VisitFact``)."""
    return {
        "visit_id": body["visit_id"],
        "version": version,
        "campaign": body["campaign"],
        "campaign_version": body["campaign_version"],
        "window": body["window"],
        "supervisor": body["supervisor"],
        "kind": body["kind"],
        "occurred_at": body["occurred_at"],
        "recorded_at": recorded_at,
        "voided": False,
        "reason": body.get("reason", ""),
        "answers": [dict(answer) for answer in body["answers"]],
        "findings": findings,
    }


def voided(fact: Mapping[str, Any], reason: str, recorded_at: str) -> dict[str, Any]:
    """The next version of a visit, which counts no longer."""
    return {
        **fact,
        "version": fact["version"] + 1,
        "voided": True,
        "reason": reason,
        "recorded_at": recorded_at,
    }
