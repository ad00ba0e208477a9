"""The typed RPC client of the platform: one method a call, checked against the contract before it is sent."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from mingchuang.find import find_amqp_uri
from services.chassis.caller import WINDOW, Caller
from services.contracts.catalogue import RPCS
from services.contracts.errors import DomainError

Json = dict[str, Any]


class _Calls:
    """The calls of one service. Absent (None) arguments are not sent."""

    service = ""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, method: str, **arguments: Any) -> Json:
        payload = {name: value for name, value in arguments.items() if value is not None}
        return self._client.call(f"{self.service}.{method}", payload)

    def status(self) -> Json:
        """{service, now, outbox, dead_letters, queued, retrying, counts}."""
        return self._call("status")

    def dead_letters(self, *, state: str | None = None, limit: int | None = None) -> Json:
        """{dead_letters: [...], total}; ``state``: waiting, replayed or all."""
        return self._call("dead_letters", state=state, limit=limit)

    def dead_letter(self, *, dead_letter: str) -> Json:
        """{dead_letter}: body, headers and cause."""
        return self._call("dead_letter", dead_letter=dead_letter)

    def replay_dead_letter(self, *, dead_letter: str) -> Json:
        """Put it back on its queue."""
        return self._call("replay_dead_letter", dead_letter=dead_letter)


class InspectionCalls(_Calls):
    """Facts: campaign, registry, visits, ratings, the campaign clock."""

    service = "inspection"

    def publish_campaign(self, *, campaign: Json) -> Json:
        return self._call("publish_campaign", campaign=campaign)

    def import_registry(self, *, workbook: str) -> Json:
        """``workbook``: an xlsx file in base64; see ``import_file``."""
        return self._call("import_registry", workbook=workbook)

    def import_file(self, path: str | Path) -> Json:
        """Import an xlsx file. Raises OSError when it cannot be read."""
        content = base64.b64encode(Path(path).read_bytes()).decode()
        return self.import_registry(workbook=content)

    def record_visit(
        self, *, visit_id: str, campaign: str, campaign_version: int, window: str,
        supervisor: str, kind: str, occurred_at: str, answers: list[Json],
    ) -> Json:
        """{visit_id, version, status, findings}; the same id with the same body is the same call."""
        return self._call(
            "record_visit", visit_id=visit_id, campaign=campaign,
            campaign_version=campaign_version, window=window, supervisor=supervisor, kind=kind,
            occurred_at=occurred_at, answers=answers,
        )

    def amend_visit(
        self, *, visit_id: str, version: int, reason: str, campaign: str, campaign_version: int,
        window: str, supervisor: str, kind: str, occurred_at: str, answers: list[Json],
    ) -> Json:
        """The whole visit anew; ``version`` is the version being replaced + 1."""
        return self._call(
            "amend_visit", visit_id=visit_id, version=version, reason=reason, campaign=campaign,
            campaign_version=campaign_version, window=window, supervisor=supervisor, kind=kind,
            occurred_at=occurred_at, answers=answers,
        )

    def void_visit(self, *, visit_id: str, reason: str) -> Json:
        return self._call("void_visit", visit_id=visit_id, reason=reason)

    def record_ratings(self, *, batch_id: str, ratings: list[Json]) -> Json:
        """{accepted, duplicates, rejected}: each rating (up to 500) is judged by itself."""
        return self._call("record_ratings", batch_id=batch_id, ratings=ratings)

    def withdraw_rating(self, *, rating_id: str, reason: str) -> Json:
        return self._call("withdraw_rating", rating_id=rating_id, reason=reason)

    def advance_clock(self, *, to: str) -> Json:
        """{now, day, completed_day, driven}; ``to``: RFC 3339, not before the present moment."""
        return self._call("advance_clock", to=to)

    def get_visit(self, *, visit_id: str) -> Json:
        return self._call("get_visit", visit_id=visit_id)

    def clock(self) -> Json:
        """{now, day, completed_day, driven}."""
        return self._call("clock")

    def fact_digest(self, *, since: str | None = None, until: str | None = None) -> Json:
        return self._call("fact_digest", since=since, until=until)


class ScoringCalls(_Calls):
    """Judgement: figures of windows, industries and the city."""

    service = "scoring"

    def window_score(self, *, window: str) -> Json:
        """{level, code, version, figure}."""
        return self._call("window_score", window=window)

    def industry_score(self, *, industry: str) -> Json:
        return self._call("industry_score", industry=industry)

    def city_score(self) -> Json:
        return self._call("city_score")

    def explain(self, *, window: str) -> Json:
        """{code, figure, explanation}."""
        return self._call("explain", window=window)

    def verify(self) -> Json:
        """{state, facts, differences, visits, ratings, windows}."""
        return self._call("verify")


class NotificationCalls(_Calls):
    """The mails that are owed, each one on record."""

    service = "notification"

    def messages(
        self, *, state: str | None = None, recipient: str | None = None, event: str | None = None,
        limit: int | None = None, after: str | None = None,
    ) -> Json:
        """{messages, counts, next}, newest first; ``after``: the ``next`` of the page before."""
        return self._call("messages", state=state, recipient=recipient, event=event, limit=limit,
                          after=after)

    def resend(self, *, message: str) -> Json:
        """{message, state}."""
        return self._call("resend", message=message)


class ReportingCalls(_Calls):
    """The read models behind the pages."""

    service = "reporting"

    def city_report(self) -> Json:
        """{campaign, stamp, city, industries, changes}."""
        return self._call("city_report")

    def window_report(self, *, window: str) -> Json:
        """{window, version, figure, explanation}."""
        return self._call("window_report", window=window)


class Client:
    """Calls the platform as one account; raises DomainErrors and nothing else of the platform's.

    Without ``amqp_uri`` the platform is found (see ``find.py``) and ``account`` is used.
    ``timeout``: seconds for each call. ``traceparent``: the trace all calls belong to, else one each.
    May be used by several threads.
    """

    def __init__(
        self, amqp_uri: str | None = None, *, account: str = "office", timeout: float = 10.0,
        traceparent: str | None = None,
    ) -> None:
        self._amqp_uri = amqp_uri
        self._account = account
        self.timeout = timeout
        self.traceparent = traceparent
        self.inspection = InspectionCalls(self)
        self.scoring = ScoringCalls(self)
        self.notification = NotificationCalls(self)
        self.reporting = ReportingCalls(self)

    @cached_property
    def caller(self) -> Caller:
        """The connection, found and made when the first call needs it. Raises NotReady without a platform."""
        return Caller(self._amqp_uri or find_amqp_uri(self._account), timeout=self.timeout)

    @property
    def services(self) -> dict[str, _Calls]:
        """The calls by service; ``status`` and the dead letters are there for each."""
        return {"inspection": self.inspection, "scoring": self.scoring,
                "notification": self.notification, "reporting": self.reporting}

    def call(self, routing_key: str, payload: Json, *, timeout: float | None = None) -> Json:
        """One call by its key (``scoring.verify``). Raises InvalidPayload before anything is sent."""
        RPCS[routing_key].load(payload)
        return self.caller.call(routing_key, payload, timeout=timeout or self.timeout,
                                traceparent=self.traceparent)

    def call_many(
        self, calls: Iterable[tuple[str, Json]], *, window: int = WINDOW,
        timeout: float | None = None,
    ) -> Iterator[Json | DomainError]:
        """Answers in the order of ``calls``, at most ``window`` in flight; see ``Caller.call_many``.

        The payloads are checked by the service only.
        """
        return self.caller.call_many(calls, window=window, timeout=timeout or self.timeout,
                                     traceparent=self.traceparent)

    def close(self) -> None:
        if "caller" in self.__dict__:
            self.caller.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
