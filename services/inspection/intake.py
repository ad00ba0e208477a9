"""What arrives as a whole document: a campaign, a workbook. Read and judged before anything is stored."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from marshmallow import ValidationError

from services.contracts import campaign
from services.contracts.errors import InvalidPayload, flatten
from services.inspection import workbook
from services.inspection.domain.registry import CellError, Registry


def campaign_document(document: Any) -> dict[str, Any]:
    """The campaign, defaults filled in. InvalidPayload names each place (``campaign.items[3].max``)."""
    try:
        return campaign.validate(document)
    except ValidationError as error:
        raise InvalidPayload(
            "活动文件不合规则，未发布 / the campaign is refused; nothing was stored.",
            flatten({"campaign": error.messages}),
        ) from error


def registry_of(encoded: str) -> Registry:
    """The registry of a workbook in base64. Raises InvalidPayload; a bad cell is named ``窗口!D12``."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidPayload("workbook 不是 base64 / not base64.", {"workbook": ["not base64"]}) from error
    registry, errors = workbook.read(data)
    if errors or registry is None:
        raise InvalidPayload(
            f"表格有 {len(errors)} 处错误，整份文件未导入 / {len(errors)} errors; nothing was imported.",
            _by_cell(errors),
        )
    return registry


def _by_cell(errors: Iterable[CellError]) -> dict[str, list[str]]:
    """``窗口!D12`` → reasons, each with an example of a good value; a whole sheet goes by its name."""
    fields: dict[str, list[str]] = {}
    for error in errors:
        place = f"{error.sheet}!{error.column}{error.row or ''}".strip("!") or "workbook"
        shown = f"（例 / e.g. {error.example}）" if error.example else ""
        reason = f"{error.header} {error.reason}{shown}".strip()
        fields.setdefault(place, []).append(reason)
    return fields
