"""What the chassis measures, each with its meaning; a service declares its own in ``services/<name>/metrics.py``."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    return Counter(name, meaning, labels)


def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    return Gauge(name, meaning, labels)


def histogram(name: str, meaning: str, labels: Sequence[str] = ()) -> Histogram:
    return Histogram(name, meaning, labels, buckets=_SECONDS)


EVENTS_HANDLED = counter(
    "mingchuang_events_handled_total",
    "Events by queue and outcome (applied, retried, dead).",
    ["queue", "outcome"],
)
EVENT_AGE = histogram(
    "mingchuang_event_age_seconds", "From an event's time to its being applied, by queue.", ["queue"]
)
EVENTS_BATCH = histogram("mingchuang_batch_seconds", "Handling of one batch of events, by queue.", ["queue"])
QUEUE_IN_HAND = gauge(
    "mingchuang_queue_in_hand", "Messages taken from the broker and not yet settled, by queue.", ["queue"]
)
CONSUMER_UP = gauge("mingchuang_consumer_up", "1 while the consumer of a queue is connected.", ["queue"])
RPC_SECONDS = histogram(
    "mingchuang_rpc_seconds",
    "RPC calls by method and outcome (ok or the error's name).",
    ["method", "outcome"],
)
OUTBOX_PENDING = gauge("mingchuang_outbox_pending", "Events stored and not yet confirmed by the broker.")
OUTBOX_OLDEST = gauge("mingchuang_outbox_oldest_seconds", "Age of the oldest event in the outbox.")
EVENTS_PUBLISHED = counter(
    "mingchuang_events_published_total", "Events confirmed by the broker, by type.", ["type"]
)
PUBLISH_FAILURES = counter(
    "mingchuang_publish_failures_total",
    "Failed publishes by cause (unroutable, timeout, refused, connection).",
    ["cause"],
)
DEAD_LETTERS = counter(
    "mingchuang_dead_letters_total", "Dead letters stored, by queue and cause.", ["queue", "cause"]
)
DEAD_LETTERS_WAITING = gauge("mingchuang_dead_letters_waiting", "Dead letters stored and not replayed.")
DUTY_SECONDS = histogram("mingchuang_duty_seconds", "Timed duties by name and outcome.", ["duty", "outcome"])
LEASES_HELD = gauge("mingchuang_lease_held", "1 while this process holds the lease of a duty.", ["duty"])
