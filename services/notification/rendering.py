"""A notice as a mail: subject, text and HTML from the templates beside this module, styles inlined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notification.domain import wording

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=select_autoescape(["html"]),
    )
    environment.filters |= {
        "percent": wording.percent,
        "moment": wording.moment,
        "day": wording.day,
        "grade": wording.grade,
    }
    environment.globals |= {"AXES": wording.AXES, "VERDICTS": wording.VERDICTS}
    return environment


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    # the phone's rules live in @media and cannot be inlined
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def render(template: str, context: dict[str, Any]) -> Rendered:
    """The mail. ``context``: the notice's own, with ``window_name``, ``campaign_name``, ``link``, ``message``."""
    environment = _environment()
    subject = " ".join(environment.get_template(f"{template}.subject.txt").render(context).split())
    text = environment.get_template(f"{template}.txt").render(context)
    html = _inliner().inline(environment.get_template(f"{template}.html").render(context, subject=subject))
    return Rendered(subject, text, html)
