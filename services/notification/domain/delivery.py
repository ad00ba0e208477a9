"""When a mail is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: Pauses after the first, second … failed try (RFC 5321 4.5.4.1 wants retries over at least 4–5 days' worth of hours).
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 60, 300, 900, 3600, 7200, 14400))
MAX_TRIES = 36
LEASE = timedelta(seconds=60)

SENT, RETRY, FAILED = "sent", "retry", "failed"


@dataclass(frozen=True)
class Outcome:
    """What a try came to: ``sent``, ``retry`` or ``failed``, with the server's words.

    ``ambiguous``: the server may have taken the mail although it never said so.
    """

    kind: str
    words: str = ""
    ambiguous: bool = False


def judged(code: int, words: str) -> Outcome:
    """By the SMTP reply code: 4xx is tried again, 5xx is final (RFC 5321 4.2.1)."""
    return Outcome(FAILED if 500 <= code < 600 else RETRY, f"{code} {words}".strip())


def pause_after(tries: int) -> timedelta | None:
    """How long to wait after that many tries; None: give up."""
    return None if tries >= MAX_TRIES else PAUSES[min(tries, len(PAUSES)) - 1]
