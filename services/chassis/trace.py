"""The trace of what is being handled: W3C Trace Context, carried from an RPC to the mail it causes."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

_FORM = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
_current: ContextVar[str] = ContextVar("traceparent", default="")


def new_trace() -> str:
    """A fresh ``traceparent``: version 00, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_of(traceparent: str) -> str:
    """A new span of the same trace; a text that is no traceparent starts a new trace."""
    if not _FORM.match(traceparent or ""):
        return new_trace()
    return f"{traceparent[:35]}-{secrets.token_hex(8)}-01"


def enter(traceparent: str) -> str:
    """Make this the trace of the current greenthread."""
    _current.set(traceparent)
    return traceparent


def current() -> str:
    return _current.get()


def trace_id(traceparent: str) -> str:
    """The 32 hex digits that the RPC's log line, the events and the mail share."""
    return traceparent[3:35] if _FORM.match(traceparent or "") else ""
