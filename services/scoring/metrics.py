"""Scoring's own figures for operators; the city's are in ``services/reporting/metrics.py``."""

from __future__ import annotations

from services.chassis.metrics import counter

VERIFICATIONS = counter(
    "mingchuang_verifications_total",
    "Comparisons of the state with a rebuild and with inspection's facts, by outcome (equal, different).",
    ["outcome"],
)
