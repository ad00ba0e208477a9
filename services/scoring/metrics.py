"""The domain's own figures for operators; the platform's are in ``services/chassis/metrics.py``."""

from __future__ import annotations

from typing import Any

from services.chassis.metrics import counter, gauge

CITY_SATISFACTION = gauge("mingchuang_city_satisfaction", "The city's satisfaction (top three levels / n) with its Wilson 95 % bounds, 0 to 1.", ["bound"])
CITY_RATINGS = gauge("mingchuang_city_ratings", "Ratings that count in the city's satisfaction.")
WINDOWS = gauge("mingchuang_windows", "Open windows by conformity.", ["conforming"])
VERIFICATIONS = counter("mingchuang_verifications_total", "Comparisons of the state with a rebuild and with inspection's facts, by outcome.", ["outcome"])


def city(figure: dict[str, Any]) -> None:
    """Show the city's published figure."""
    satisfaction, windows = figure["satisfaction"], figure["windows"]
    for bound, key in (("point", "lenient"), ("low", "wilson_low"), ("high", "wilson_high")):
        if satisfaction[key] is not None:
            CITY_SATISFACTION.labels(bound).set(float(satisfaction[key]))
    CITY_RATINGS.set(satisfaction["n"])
    WINDOWS.labels("yes").set(windows["conforming"])
    WINDOWS.labels("no").set(windows["open"] - windows["conforming"])
