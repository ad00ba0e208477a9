"""What reporting measures, each with its meaning."""

from __future__ import annotations

from typing import Any

from services.chassis.metrics import counter, gauge, histogram

CITY_SATISFACTION = gauge(
    "mingchuang_city_satisfaction_ratio",
    "The city's satisfaction (0-1): lenient (top three levels), strict (top two), low, high (Wilson 95 %).",
    ["bound"],
)
CITY_RATINGS = gauge("mingchuang_city_ratings", "Ratings that count in the city's satisfaction.")
WINDOWS_OPEN = gauge("mingchuang_windows_open", "Open windows of the city.")
WINDOWS_CONFORMING = gauge("mingchuang_windows_conforming", "Open windows that conform on all axes.")
STAMP = gauge("mingchuang_reporting_stamp", "Number of the read models' last change.")
REFRESH_AGE = gauge("mingchuang_reporting_refresh_age_seconds", "Seconds since a read model last changed.")
FIGURES_APPLIED = counter(
    "mingchuang_reporting_figures_total", "Figures received, by outcome (applied, old).", ["outcome"]
)
PAGE_SECONDS = histogram(
    "mingchuang_page_seconds", "Answering a page, by page and status.", ["page", "status"]
)
STREAM_CLIENTS = gauge("mingchuang_stream_clients", "Browsers that follow changes by this process.")
STREAM_REFUSED = counter(
    "mingchuang_stream_refused_total", "Browsers turned away because too many follow already."
)


def count_figures(applied: int, received: int) -> None:
    FIGURES_APPLIED.labels(outcome="applied").inc(applied)
    FIGURES_APPLIED.labels(outcome="old").inc(received - applied)


def show_stamp(stamp: int, age: float | None) -> None:
    """``age``: seconds; None while nothing was ever applied."""
    STAMP.set(stamp)
    if age is not None:
        REFRESH_AGE.set(age)


def show_city(figure: dict[str, Any] | None) -> None:
    """The city's gauges from its figure; without ratings there is no ratio to show."""
    if figure is None:
        return
    satisfaction, windows = figure["satisfaction"], figure["windows"]
    CITY_RATINGS.set(satisfaction["n"])
    WINDOWS_OPEN.set(windows["open"])
    WINDOWS_CONFORMING.set(windows["conforming"])
    for bound, key in (
        ("lenient", "lenient"),
        ("strict", "strict"),
        ("low", "wilson_low"),
        ("high", "wilson_high"),
    ):
        if satisfaction[key] is None:
            CITY_SATISFACTION.labels(bound=bound).set(float("nan"))
        else:
            CITY_SATISFACTION.labels(bound=bound).set(float(satisfaction[key]))
