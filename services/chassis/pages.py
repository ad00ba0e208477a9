"""Pages over http on ``PAGES_ADDRESS``: nameko's http entrypoint, fit for server-sent events."""

from __future__ import annotations

from typing import Any

from nameko.web.handlers import HttpRequestHandler
from werkzeug.wrappers import Response

from services.chassis import trace
from services.chassis.log import log
from services.contracts.errors import DomainError, InvalidPayload, NotFound

_STATUS = {NotFound: 404, InvalidPayload: 400}


class Page(HttpRequestHandler):
    """A page; a domain error becomes its status with a plain text, anything else 500 with the trace id."""

    def handle_request(self, request: Any) -> Any:
        # a stream must reach the browser event by event, not in chunks of 32 KiB
        request.environ["eventlet.minimum_write_chunk_size"] = 0
        trace.enter(trace.child_of(request.headers.get("traceparent", "")))
        return super().handle_request(request)

    def response_from_exception(self, exc: BaseException) -> Response:
        if isinstance(exc, DomainError):
            return Response(
                str(exc), status=_STATUS.get(type(exc), 503), content_type="text/plain; charset=utf-8"
            )
        log("page_failed", level="error", error=repr(exc), exc_info=(type(exc), exc, exc.__traceback__))
        text = f"页面暂时无法显示 / this page cannot be shown now (trace {trace.trace_id(trace.current())})"
        return Response(text, status=500, content_type="text/plain; charset=utf-8")


page = Page.decorator
