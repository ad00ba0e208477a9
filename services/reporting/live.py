"""Tells browsers that a page has changed: one look at the database per process, any number of listeners."""

from __future__ import annotations

import threading
from collections.abc import Iterator

HEARTBEAT_SECONDS = 5.0
LIFETIME_HEARTBEATS = 120
RETRY_MILLISECONDS = 1000
MAX_CLIENTS = 500


class TooManyClients(Exception):
    """The limit of listeners of this process is reached."""


class Live:
    """The latest stamp, and who waits for a later one. A slow listener gets only the latest."""

    def __init__(self, limit: int = MAX_CLIENTS, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self.limit = limit
        self.clients = 0
        self._heartbeat = heartbeat
        self._stamp = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def stamp(self) -> int:
        return self._stamp

    def tell(self, stamp: int) -> bool:
        """A stamp was seen in the database; wakes the listeners when it is a new one, and says so."""
        with self._changed:
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End all streams, so that the process can stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def listen(self) -> Stream:
        """A stream in the form of Server-Sent Events (WHATWG HTML §9.2): the stamp now and after each change.

        A comment every 5 s keeps it open and finds out who has gone. It ends by itself after 120 of them;
        browsers come back. Raises TooManyClients.
        """
        with self._changed:
            if self.clients >= self.limit:
                raise TooManyClients
            self.clients += 1
        return Stream(self, self._events())

    def leave(self) -> None:
        with self._changed:
            self.clients -= 1

    def _events(self) -> Iterator[str]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        told: int | None = None
        silent = 0
        while silent < LIFETIME_HEARTBEATS:
            with self._changed:
                if not self._closed and self._stamp == told:
                    self._changed.wait(self._heartbeat)
                if self._closed:
                    return
                stamp = self._stamp
            if stamp == told:
                silent += 1
                yield ": heartbeat\n\n"
            else:
                told = stamp
                yield f"id: {stamp}\nevent: stamp\ndata: {stamp}\n\n"


class Stream(Iterator[str]):
    """Gives the place back when the server closes it, also when it was never read from."""

    def __init__(self, live: Live, events: Iterator[str]) -> None:
        self._live = live
        self._events = events
        self._left = False

    def __next__(self) -> str:
        return next(self._events)

    def close(self) -> None:
        if not self._left:
            self._left = True
            self._live.leave()
