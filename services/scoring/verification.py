"""``scoring.verify``: is the state what a rebuild gives, and are the facts those of inspection?

Facts on their way make both differ for a moment; a difference is reported only if it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import eventlet

from services.chassis.caller import Caller
from services.chassis.log import log
from services.chassis.settings import settings
from services.contracts.errors import NotReady
from services.scoring import metrics
from services.scoring.store import Store

Document = dict[str, Any]
ATTEMPTS = 20
PAUSE_SECONDS = 0.5
SHOWN = 20


def inspections_digest() -> list[Document]:
    """Inspection's own digest of its facts. Raises NotReady when it does not answer."""
    caller = Caller(settings().amqp_uri)
    try:
        days: list[Document] = caller.call("inspection.fact_digest", {}, timeout=60)["days"]
        return days
    finally:
        caller.close()


def verify(store: Store, theirs: Callable[[], list[Document]] = inspections_digest) -> Document:
    """The contract's ``VerifyResult``. Raises NotReady while no campaign is known."""
    for attempt in range(ATTEMPTS):
        compared = store.compare()
        facts, days = _facts(store, theirs)
        settled = not compared["pending"] and not compared["differences"] and facts == "equal"
        if settled or attempt == ATTEMPTS - 1:
            break
        eventlet.sleep(PAUSE_SECONDS)
    state = "different" if compared["pending"] or compared["differences"] else "equal"
    metrics.VERIFICATIONS.labels("equal" if settled else "different").inc()
    if not settled:
        log(
            "verification_failed",
            level="error",
            state=state,
            facts=facts,
            differences=len(compared["differences"]),
            days=len(days),
        )
    return {
        "state": state,
        "facts": facts,
        "differences": [*compared["differences"][:SHOWN], *days[:SHOWN]],
        "visits": compared["visits"],
        "ratings": compared["ratings"],
        "windows": compared["windows"],
    }


def _facts(store: Store, theirs: Callable[[], list[Document]]) -> tuple[str, list[Document]]:
    try:
        other = {(day["kind"], day["day"]): day for day in theirs()}
    except NotReady as error:
        return "unknown", [{"inspection": str(error)}]
    own = {(day["kind"], day["day"]): day for day in store.digest()}
    days = [
        {"kind": kind, "day": day, "scoring": own.get((kind, day)), "inspection": other.get((kind, day))}
        for kind, day in sorted(own.keys() | other.keys())
        if own.get((kind, day)) != other.get((kind, day))
    ]
    return ("different" if days else "equal"), days
