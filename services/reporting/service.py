"""Entrypoints of reporting: events into read models, read models onto pages and out by RPC."""

from __future__ import annotations

from typing import Any

from nameko.extensions import DependencyProvider

from services.chassis.clock import real_now
from services.chassis.door import rpc
from services.chassis.duties import duty
from services.chassis.events import on_event, on_events
from services.chassis.mongo import StoreProvider
from services.chassis.pages import page
from services.chassis.service import Service
from services.contracts import inspection, reporting, scoring
from services.contracts.envelope import Event
from services.reporting import metrics
from services.reporting.domain.merge import Score
from services.reporting.pages import Pages
from services.reporting.reports import city_report, window_report
from services.reporting.store import ReadModels

LOOK_SECONDS = 0.25


class PagesProvider(DependencyProvider):
    """One Pages per process; its streams end when the process stops."""

    def setup(self) -> None:
        self.pages = Pages()

    def stop(self) -> None:
        self.pages.live.close()

    def get_dependency(self, worker_ctx: Any) -> Pages:
        return self.pages


class Reporting(Service):
    name = "reporting"

    store = StoreProvider(ReadModels)
    pages = PagesProvider()

    @on_events(scoring.score_changed, queue="scores", batch=500)
    def on_scores(self, events: list[Event]) -> None:
        applied = self.store.apply_scores(
            [Score.from_fact(event.data, event.time) for event in events], real_now()
        )
        metrics.count_figures(applied, len(events))

    @on_event(inspection.windows_registered)
    def on_windows_registered(self, event: Event) -> None:
        self.store.register_windows(event.data["windows"], real_now())

    @on_event(inspection.campaign_published)
    def on_campaign_published(self, event: Event) -> None:
        self.store.publish_campaign(event.data["campaign"], real_now())

    @on_event(inspection.clock_advanced)
    def on_clock_advanced(self, event: Event) -> None:
        self.clock.follow(event)

    @duty(every=LOOK_SECONDS, lease=False)
    def look(self) -> None:
        stamp = self.store.look(self.clock.known(), real_now())
        if self.pages.live.tell(stamp.value):
            metrics.show_city(self.store.city_figure())
        metrics.show_stamp(stamp.value, stamp.age(real_now()))

    @rpc(reporting.city_report)
    def city_report(self, payload: dict[str, Any]) -> dict[str, Any]:
        return city_report(self.store.city())

    @rpc(reporting.window_report)
    def window_report(self, payload: dict[str, Any]) -> dict[str, Any]:
        return window_report(self.store.window(payload["window"]), payload["window"])

    @page("GET", "/")
    def city_page(self, request: Any) -> Any:
        return self.pages.city(request, self.store)

    @page("GET", "/industries/<code>")
    def industry_page(self, request: Any, code: str) -> Any:
        return self.pages.industry(request, self.store, code)

    @page("GET", "/windows/<code>")
    def window_page(self, request: Any, code: str) -> Any:
        return self.pages.window(request, self.store, code)

    @page("GET", "/static/<name>")
    def static_file(self, request: Any, name: str) -> Any:
        return self.pages.static(request, name)

    @page("GET", "/stream")
    def stream(self, request: Any) -> Any:
        return self.pages.stream(request)
