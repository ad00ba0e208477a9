"""What inspection counts for operators."""

from __future__ import annotations

from services.chassis.metrics import counter

VISITS = counter(
    "mingchuang_visits_total", "Visits stored, by what was done: recorded, amended, voided.", ["change"]
)
RATINGS = counter(
    "mingchuang_ratings_total",
    "Ratings judged, by outcome: accepted, duplicate, rejected, withdrawn.",
    ["outcome"],
)
WINDOWS = counter("mingchuang_windows_registered_total", "Windows registered or changed by an import.", [])


def visit(change: str, new: bool) -> None:
    """A visit's change was stored; a repeated call stores nothing and counts nothing."""
    if new:
        VISITS.labels(change=change).inc()


def ratings(answer: dict[str, list[dict[str, object]]]) -> None:
    """A call of ratings was judged."""
    for outcome, name in (("accepted", "accepted"), ("duplicate", "duplicates"), ("rejected", "rejected")):
        RATINGS.labels(outcome=outcome).inc(len(answer[name]))


def withdrawal(new: bool) -> None:
    """A rating was taken back; a repeated call counts nothing."""
    if new:
        RATINGS.labels(outcome="withdrawn").inc()
