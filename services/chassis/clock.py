"""Two clocks. Real time: leases, retries, time-outs. The campaign clock (Asia/Shanghai): deadlines, phases, digests.

In production the campaign clock is the wall clock. In a rehearsal (``CLOCK=driven``) inspection drives it forward and
publishes ``clock_advanced``; each service keeps the latest in its own ``clock`` collection.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

    from services.chassis.mongo import Mongo
    from services.contracts.envelope import Event

SHANGHAI = ZoneInfo("Asia/Shanghai")


def real_now() -> datetime:
    """The wall clock, aware, UTC: the only place that asks it."""
    return datetime.now(UTC)


def shanghai_day(moment: datetime) -> date:
    return moment.astimezone(SHANGHAI).date()


class CampaignClock:
    """The campaign's time as this service knows it."""

    def __init__(self, mongo: Mongo, driven: bool) -> None:
        self._mongo = mongo
        self.driven = driven

    def known(self) -> datetime | None:
        """Where a driven clock stands; None before it was first set. A wall clock is always known."""
        if not self.driven:
            return real_now()
        state: dict[str, Any] | None = self._mongo.db["clock"].find_one({"_id": "campaign"})
        return datetime.fromtimestamp(state["version"] / 1000, UTC) if state else None

    def now(self) -> datetime:
        """Campaign time, aware UTC; a driven clock that was never set stands at the epoch."""
        return self.known() or datetime.fromtimestamp(0, UTC)

    def today(self) -> date:
        """The current Shanghai day."""
        return shanghai_day(self.now())

    def completed_day(self) -> date:
        """The last Shanghai day that is over."""
        return self.today() - timedelta(days=1)

    def advance(self, moment: datetime, session: ClientSession) -> None:
        """Set a driven clock within a transaction; it never goes back."""
        self._keep(int(moment.timestamp() * 1000), session)

    def follow(self, event: Event) -> None:
        """Keep the moment of a ``clock_advanced`` event if it is later than what is known."""
        self._keep(event.version, None)

    def _keep(self, version: int, session: ClientSession | None) -> None:
        self._mongo.db["clock"].update_one(
            {"_id": "campaign"}, {"$max": {"version": version}}, upsert=True, session=session
        )
