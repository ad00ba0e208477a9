"""The answers to other systems, in the shapes of ``services/contracts/reporting.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.contracts.errors import NotFound, NotReady
from services.reporting.domain.wording import phase_on

_CHANGE = ("at", "level", "code", "name", "version", "shifts")


def city_report(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """The city's read model. Raises NotReady before a campaign was published."""
    if model is None:
        raise NotReady("活动尚未发布 / no campaign has been published yet")
    return {
        "campaign": campaign_head(model["campaign"], model["day"]),
        "stamp": model["stamp"],
        "city": model["city"],
        "industries": model["industries"],
        "changes": [{name: change[name] for name in _CHANGE} for change in model["changes"]],
    }


def window_report(model: Mapping[str, Any] | None, code: str) -> dict[str, Any]:
    """A window's read model. Raises NotFound for a window that is not registered."""
    if model is None:
        message = f"没有编号为“{code}”的窗口 / no such window: {code}"
        raise NotFound(message, {"window": ["没有登记 / not registered"]})
    return {name: model[name] for name in ("window", "version", "figure", "explanation")}


def campaign_head(campaign: Mapping[str, Any], day: str | None) -> dict[str, Any]:
    """The campaign shown, with the campaign clock's day and the phase it falls in."""
    phase = phase_on(campaign, day)
    kept = {name: campaign[name] for name in ("id", "version", "name", "name_en", "opens", "closes")}
    return {**kept, "day": day, "phase": phase["name"] if phase else None}
