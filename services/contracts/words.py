"""What every event, call and field means, in Chinese and English: the words of the generated documents.

A contract without its words cannot be documented, so ``documents.py`` refuses it by name.
"""

from __future__ import annotations

SERVICES: dict[str, tuple[str, str]] = {
    "inspection": (
        "督查：事实（活动、名录、查访、评价、活动时钟）",
        "Facts: campaign, registry, visits, ratings, the campaign clock",
    ),
    "scoring": ("评分：由事实得出的判断", "Judgement: figures, conformity and verdicts made from the facts"),
    "notification": ("通知：该发的邮件，逐封记录", "The mails that are owed, each one on record"),
    "reporting": ("通报：供页面使用的读模型", "Read models behind the pages"),
}

EVENTS: dict[str, str] = {
    "inspection.campaign_published": "活动方案的一个版本已发布生效（三、四、五）。",
    "inspection.windows_registered": "服务窗口已登记或有变更（二）。",
    "inspection.visit_recorded": "一次查访已计入（四.3）。",
    "inspection.visit_amended": "一次查访已由更高版本取代。",
    "inspection.visit_voided": "一次查访已作废，永不再计。",
    "inspection.ratings_recorded": "市民评价已收录（四.3 满意度监测）。",
    "inspection.rating_withdrawn": "来源方撤回了一条评价，永不再计。",
    "inspection.clock_advanced": "活动时钟走到了新的时刻。",
    "scoring.score_changed": "窗口、行业或全市的评分有变。",
    "scoring.conformity_changed": "窗口达标，或不再达标（一.1）。",
    "scoring.verdict_changed": "对满意度 95% 目标的结论有变（一.2）。",
}

CALLS: dict[str, str] = {
    "inspection.publish_campaign": "发布活动方案的一个版本；同一版本而内容不同，则为 Conflict。",
    "inspection.import_registry": "导入行业、单位、窗口、联系人和督察员；有一处错误即整份拒收，并逐格指明。",
    "inspection.record_visit": "记录一次查访；编号与内容都相同的再次调用，视为同一次调用。",
    "inspection.amend_visit": "以下一版本取代一次查访。",
    "inspection.void_visit": "作废一次查访，不可恢复。",
    "inspection.record_ratings": "一次收录至多 500 条评价；逐条答复收下、重复或拒收，附序号与理由。",
    "inspection.withdraw_rating": "撤回一条评价，不可恢复。",
    "inspection.advance_clock": "拨快活动时钟（仅用于演练）。",
    "inspection.get_visit": "查一次查访的现行版本。",
    "inspection.clock": "查活动时钟。",
    "inspection.fact_digest": "按日列出查访和评价的条数，以及编号与版本的散列。",
    "scoring.window_score": "一个窗口的评分。",
    "scoring.industry_score": "一个行业的评分。",
    "scoring.city_score": "全市的评分。",
    "scoring.explain": "解释一个窗口的评分，细到每个作答、规则、条款和方案版本。",
    "scoring.verify": "把现有评分与从头重算的结果相比，把事实与督查服务的事实相比。",
    "notification.messages": "按状态、收件人或事件列出邮件，附各状态的件数。",
    "notification.resend": "重发一封邮件，Message-ID 不变。",
    "reporting.city_report": "全市的读模型，与页面所见一致。",
    "reporting.window_report": "一个窗口的读模型，与页面所见一致。",
    "status": "本服务的积压与计数。",
    "dead_letters": "死信列表，最新的在前，附原因。",
    "dead_letter": "一封死信的正文、消息头和原因。",
    "replay_dead_letter": "把一封死信放回它的队列。",
}

FIELDS: dict[str, tuple[str, str]] = {
    "accepted": ("收下的评价", "ratings accepted"),
    "address": ("地址", "street address"),
    "after": ("上一页的 next", "the `next` of the page before"),
    "answers": ("作答，每个检查项至多一条", "answers, at most one per item"),
    "axis": ("轴：norms 规范、facilities 设施、quality 质量", "axis: norms, facilities or quality"),
    "batch_id": ("这一批的编号，由调用方给出", "id of the batch, given by the caller"),
    "campaign": ("活动编号", "campaign id"),
    "campaign_version": ("查访所依据的方案版本", "version of the campaign the visit was made under"),
    "changed_windows": ("新登记或有变更的窗口数", "windows new or changed"),
    "changes": ("最近的变化，最新的在前", "latest changes, newest first"),
    "channel": ("评价渠道", "channel the rating came through"),
    "city": ("全市的评分；尚无时为 null", "the city's figure; null while there is none"),
    "clause": ("通知的条款", "clause of the notice"),
    "closed_on": ("停业日；自该日起不计入", "day it closed; from that day it does not count"),
    "code": ("编号", "code"),
    "completed_day": ("最近一个已过完的日子", "the last day that is over"),
    "conforming": ("是否达标", "whether it conforms"),
    "contact_email": ("联系人邮箱", "the contact's mail address"),
    "contact_name": ("联系人", "the contact"),
    "count": ("条数", "how many"),
    "counts": ("计数", "counts"),
    "critical": ("不合格即一票否决", "a fail is a veto"),
    "day": ("上海时间的日子", "day in Asia/Shanghai"),
    "days": ("逐日、逐类的条数与散列", "per kind and day: count and hash"),
    "dead_letter": ("死信", "a dead letter"),
    "dead_letters": ("死信", "dead letters"),
    "default": ("默认好评，不计入满意度", "given by default; left out of satisfaction"),
    "differences": ("不一致之处", "where they differ"),
    "district": ("所在区", "district"),
    "driven": ("时钟由演练拨动", "whether the clock is driven by a rehearsal"),
    "duplicates": ("已收过的同一条评价", "ratings that were accepted before"),
    "event": ("引起邮件的事件编号", "id of the event that caused the mail"),
    "explanation": ("解释：逐项作答、规则与版本", "explanation down to answers, rules and versions"),
    "facts": ("事实与督查服务比较的结果", "the facts compared with inspection's"),
    "figure": (
        "评分：两位小数的文本、比值文本与整数计数",
        "figure: text with two decimals, ratios as text, counts as integers",
    ),
    "findings": ("问题：不合格的必查项或否决项", "findings: failed required or critical items"),
    "gaps": ("未达标的缺口，逐条列出", "what is missing, one by one"),
    "id": ("来源方给出的编号", "the source's own id"),
    "imported": (
        "是否导入；同一文件再导为 false",
        "whether anything was imported; the same file again gives false",
    ),
    "industries": ("行业", "industries"),
    "industry": ("行业编号", "industry code"),
    "industry_name": ("行业名称", "industry name"),
    "item": ("检查项编号", "item id"),
    "kind": ("planned 定期、unannounced 暗访", "planned or unannounced"),
    "level": ("层级：window 窗口、industry 行业、city 全市", "level: window, industry or city"),
    "limit": ("至多返回几条", "at most this many"),
    "message": ("邮件编号", "message id"),
    "messages": ("邮件，最新的在前", "messages, newest first"),
    "name_en": ("英文名称", "name in English"),
    "name": ("名称", "name"),
    "next": ("下一页的标记；没有下一页时为 null", "mark of the next page; null at the end"),
    "note": ("说明", "note"),
    "now": ("当前时刻", "the present moment"),
    "observed": ("观察到符合的数目", "how many were observed to comply"),
    "occurred_at": ("发生时刻", "when it happened"),
    "of": ("观察的总数，至少为 1", "out of how many, at least 1"),
    "opens": ("活动首日", "first day of the campaign"),
    "closes": ("活动末日", "last day of the campaign"),
    "phase": ("当前阶段", "the present phase"),
    "at": ("时刻", "when"),
    "shifts": ("由何值变为何值", "what went from which value to which"),
    "what": ("变化的是什么", "what changed"),
    "before": ("变化前；没有则为 null", "the value before; null if there was none"),
    "opened_on": ("开业日", "day it opened"),
    "outbox": ("尚未确认发出的事件数", "events not yet confirmed by the broker"),
    "photo": ("照片的引用", "reference of a photo"),
    "previous": ("先前的结论；首次为 null", "the verdict before; null the first time"),
    "queued": ("队列里等待的消息数", "messages waiting in the service's queues"),
    "rating": ("评价", "the rating"),
    "rating_id": ("评价编号", "rating id"),
    "ratings": ("评价", "ratings"),
    "reason": ("理由", "reason"),
    "recipient": ("收件人邮箱", "mail address of the recipient"),
    "history": ("全部版本，最早的在前", "all versions, the first first"),
    "recorded_by": ("收录时的调用方账户", "the account that recorded it"),
    "recorded_at": ("收录时刻", "when it was recorded"),
    "rejected": ("拒收的评价，附理由", "ratings refused, with the reason"),
    "required": ("必查项", "required item"),
    "result": ("合格、不合格或不适用；na 须附说明", "pass, fail or not applicable; na needs a note"),
    "retrying": ("等待延时重试的消息数", "messages waiting for a delayed retry"),
    "satisfaction": ("满意度：三种口径、n、上下界", "satisfaction: three definitions, n and bounds"),
    "sha256": ("逐行 id:version 的 SHA-256", "SHA-256 over the lines id:version"),
    "service": ("服务", "service"),
    "since": ("起始日（含）；缺省为最早", "first day, included; absent: the earliest"),
    "stamp": ("随每次变化增大的戳", "grows with each change"),
    "state": ("状态", "state"),
    "status": ("状态：recorded、amended 或 voided", "status: recorded, amended or voided"),
    "supervisor": ("市民督察员编号", "supervisor code"),
    "supervisors": ("督察员", "supervisors"),
    "to": ("拨到的时刻，不得早于现在", "the moment to go to, not before the present one"),
    "total": ("总数", "total"),
    "unit": ("单位编号", "unit code"),
    "unit_name": ("单位名称", "unit name"),
    "units": ("单位", "units"),
    "until": ("截止日（含）；缺省为最近", "last day, included; absent: the latest"),
    "value": ("量表得分，0 至该项满分", "points on the item's scale, 0 to its maximum"),
    "verdict": (
        "结论：met 达到、missed 未达到、insufficient 评价不足",
        "verdict: met, missed or insufficient",
    ),
    "version": ("版本，每次变化加大", "version, grows with each change"),
    "visit_id": ("查访编号，由调用方给出", "visit id, given by the caller"),
    "visits": ("查访数", "visits"),
    "voided": ("已作废，永不再计", "void, for ever"),
    "voter": ("评价人的带密钥散列，绝不是姓名或号码", "keyed hash of the voter, never a name or number"),
    "window": ("窗口编号", "window code"),
    "windows": ("窗口", "windows"),
    "withdrawn": ("已撤回，永不再计", "withdrawn, for ever"),
    "workbook": ("xlsx 文件的 base64", "an xlsx file in base64"),
    "CityReport.campaign": ("活动：编号、版本、名称、发文机关", "the campaign: id, version, name, issuer"),
    "CampaignPublished.campaign": ("整份活动方案", "the whole campaign document"),
    "DeadLettersCall.state": ("waiting 待处理、replayed 已重放、all 全部", "waiting, replayed or all"),
    "MessageResult.state": (
        "邮件状态：due、sending、sent、failed",
        "state of the mail: due, sending, sent or failed",
    ),
    "MessagesCall.state": (
        "邮件状态：due、sending、sent、failed",
        "state of the mail: due, sending, sent or failed",
    ),
    "PublishCampaign.campaign": ("整份活动方案", "the whole campaign document"),
    "RatingCall.level": (
        "五级评价：5 非常满意 … 1 非常不满意",
        "five levels: 5 very satisfied … 1 very dissatisfied",
    ),
    "RatingFact.level": (
        "五级评价：5 非常满意 … 1 非常不满意",
        "five levels: 5 very satisfied … 1 very dissatisfied",
    ),
    "VerifyResult.state": ("现有评分与重算比较的结果", "the stored figures compared with a rebuild"),
    "VerifyResult.windows": ("比较过的窗口数", "windows compared"),
    "VerifyResult.ratings": ("评价数", "ratings"),
    "VisitResult.findings": ("问题数", "how many findings"),
    "specversion": ("CloudEvents 版本", "version of CloudEvents"),
    "source": ("来源服务，如 /mingchuang/inspection", "the service it comes from, as /mingchuang/inspection"),
    "type": ("事件类型与版本", "type and version of the event"),
    "subject": ("聚合，如 visit/V-1", "the aggregate, as visit/V-1"),
    "time": ("事件时刻", "when it happened"),
    "datacontenttype": ("data 的内容类型", "content type of `data`"),
    "data": ("事件内容", "what happened"),
    "aggregateversion": (
        "聚合的版本，随其每个事件增大",
        "version of the subject, grows with each event of it",
    ),
    "traceparent": ("W3C Trace Context；可空", "W3C Trace Context; may be empty"),
    "EnvelopeSchema.id": (
        "事件编号；同一起因永远得同一编号",
        "id of the event; the same cause always gives the same id",
    ),
    "AmendVisit.version": ("被取代的版本加一", "the version being replaced, plus one"),
    "WindowReport.window": ("窗口的登记内容", "the window as registered"),
    "WindowReport.figure": ("评分；尚无时为 null", "its figure; null while there is none"),
    "WindowReport.explanation": ("解释；尚无时为 null", "its explanation; null while there is none"),
}

ERRORS: dict[str, tuple[str, str]] = {
    "InvalidPayload": (
        "参数不合契约或规则；`fields` 指明每处与原因，什么都没有存",
        "The payload breaks the contract or a rule; `fields` names each place and reason; nothing was stored",
    ),
    "NotFound": ("所指的对象不存在", "What the call names does not exist"),
    "Conflict": (
        "编号已用于另一内容，或版本不是现行版本；什么都没有改",
        "The id was used with another body, or the version is not the current one; nothing was changed",
    ),
    "NotAllowed": ("调用方无权，或身份未知", "The caller may not do this, or is not known"),
    "NotReady": (
        "现在答不了，稍后同样的调用可能成功",
        "The service cannot answer now; the same call may succeed later",
    ),
}


def field_words(schema: str, name: str) -> tuple[str, str]:
    """The words of a field, its schema's own before the common ones. Raises KeyError naming the field."""
    own = FIELDS.get(f"{schema}.{name}")
    return own if own is not None else FIELDS[name]


def call_words(service: str, name: str) -> str:
    """A call's meaning in Chinese. Raises KeyError naming the call."""
    own = CALLS.get(f"{service}.{name}")
    return own if own is not None else CALLS[name]


def event_words(service: str, name: str) -> str:
    """An event's meaning in Chinese. Raises KeyError naming the event."""
    return EVENTS[f"{service}.{name}"]
