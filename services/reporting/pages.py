"""The pages of the office: complete HTML without JavaScript, and the stream that says "look again".

A page is a function of the read models alone; what was rendered for the same models is not rendered again.
"""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from werkzeug.wrappers import Request, Response

from services.reporting import metrics
from services.reporting.domain import wording
from services.reporting.live import Live, TooManyClients
from services.reporting.store import ReadModels

_FOLDER = Path(__file__).parent
_KEPT_PAGES = 128
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_WORDS = (
    wording.percent, wording.line, wording.points, wording.day_words, wording.moment_words,
    wording.verdict_sentence, wording.shift_words, wording.axis_start, wording.place,
    wording.span, wording.share_of, wording.rule_name, wording.missing_id,
    wording.answer_words, wording.grouped, wording.ticks,
)  # fmt: skip


class Pages:
    """One per process: templates, static files, the latest rendered pages, and the stream's listeners."""

    def __init__(self) -> None:
        self.live = Live()
        self._static = {
            path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir()) if path.is_file()
        }
        self._digest = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._rendered: OrderedDict[str, str] = OrderedDict()
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            {word.__name__: word for word in _WORDS},
            static=lambda name: f"/static/{name}?v={self._digest}",
            verdicts=wording.VERDICTS, verdicts_short=wording.VERDICTS_SHORT, axes=wording.AXES,
            levels=wording.LEVELS, definitions=wording.DEFINITIONS,
        )  # fmt: skip
        metrics.STREAM_CLIENTS.set_function(lambda: self.live.clients)

    def city(self, request: Request, store: ReadModels) -> Response:
        """The city: satisfaction, conformity, industries, latest changes, what is missing."""
        return self._answer(request, "city", store, lambda: store.city())

    def industry(self, request: Request, store: ReadModels, code: str) -> Response:
        """One industry and its windows."""
        return self._answer(
            request, "industry", store, lambda: store.industry(code), f"没有编号为“{code}”的行业。"
        )

    def window(self, request: Request, store: ReadModels, code: str) -> Response:
        """One window: its figure and how it came about."""
        return self._answer(
            request, "window", store, lambda: store.window(code), f"没有编号为“{code}”的窗口。"
        )

    def static(self, request: Request, name: str) -> Response:
        """A style sheet, script or picture of the pages; its address changes with its content."""
        body = self._static.get(name)
        if body is None:
            return Response("没有这个文件。", 404, mimetype="text/plain", headers=_SECURITY)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        lasting = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(body, mimetype=kind, headers={**_SECURITY, **lasting})

    def stream(self, request: Request) -> Response:
        """The stamp now and after each change, as Server-Sent Events; 503 when too many listen already."""
        headers = {**_SECURITY, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method != "GET":
            return Response(mimetype="text/event-stream", headers=headers)
        try:
            return Response(
                self.live.listen(), mimetype="text/event-stream", headers=headers, direct_passthrough=False
            )
        except TooManyClients:
            metrics.STREAM_REFUSED.inc()
            busy = {**headers, "Retry-After": "5"}
            return Response("同时查看的人太多，请稍后再试。", 503, mimetype="text/plain", headers=busy)

    def _answer(
        self,
        request: Request,
        name: str,
        store: ReadModels,
        read: Callable[[], dict[str, Any] | None],
        absent: str = "",
    ) -> Response:
        began = time.perf_counter()
        stamp = store.stamp().value
        etag = f"{self._digest}-{stamp}"
        response = Response(mimetype="text/html", headers={**_SECURITY, "Cache-Control": "no-cache"})
        response.set_etag(etag, weak=True)
        if request.if_none_match.contains_weak(etag):
            response.status_code = 304
        else:
            html = self._kept(f"{request.path} {etag}")
            if html is None:
                html = self._render(request, response, name, store, read(), absent, stamp)
            response.set_data(html)
        elapsed = time.perf_counter() - began
        metrics.PAGE_SECONDS.labels(page=name, status=str(response.status_code)).observe(elapsed)
        return response

    def _kept(self, key: str) -> str | None:
        html = self._rendered.get(key)
        if html is not None:
            self._rendered.move_to_end(key)
        return html

    def _render(
        self,
        request: Request,
        response: Response,
        name: str,
        store: ReadModels,
        model: dict[str, Any] | None,
        absent: str,
        stamp: int,
    ) -> str:
        common = {"path": request.path, "stamp": stamp}
        if model is None:
            response.status_code = 404 if store.is_ready() else 503
            heading = "找不到" if response.status_code == 404 else "活动尚未发布"
            text = absent if response.status_code == 404 else "发布活动方案后，本页自动更新。"
            campaign = {"name": heading}
            return self._templates.get_template("message.html").render(
                common, campaign=campaign, heading=heading, text=text
            )
        phase = wording.phase_on(model["campaign"], model["day"])
        html = self._templates.get_template(f"{name}.html").render({**common, **model}, phase=phase)
        self._rendered[f"{request.path} {self._digest}-{model['stamp']}"] = html
        while len(self._rendered) > _KEPT_PAGES:
            self._rendered.popitem(last=False)
        return html
