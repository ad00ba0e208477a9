"""What the running services emit is what their golden examples say: same facts, figures of the same shape.

The golden campaign, registry, visit and ratings go through the RPC of a platform of their own, under the
campaign clock of the examples; a queue bound to every exchange takes what comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import amqp
import orjson
import pytest

from deploy.local.broker import ADMINISTRATOR
from deploy.local.platform import Platform
from mingchuang.client import Client
from mingchuang.find import read_platform
from services.contracts import golden
from services.contracts.catalogue import EVENTS, RPCS
from services.contracts.envelope import CONTENT_TYPE, Event, decode
from services.contracts.errors import DomainError, to_wire

SECONDS = 30.0
QUEUE = "golden-examples"
Json = dict[str, Any]
REFUSALS = [
    key
    for key, contract in RPCS.items()
    if "error" in golden.call(contract)
]
# Keyed by collection, state or level; of any type.
ANY_SHAPE = {"counts", "before", "after"}
# What is asked where the golden parameters would find nothing that runs long enough to be compared.
ASKED: dict[str, Json] = {
    "notification.messages": {"limit": 500},
}
# Reads that follow the facts by a moment: when they have caught up.
ENOUGH: dict[str, Callable[[Json], bool]] = {
    "reporting.city_report": lambda answer: bool(answer["city"] and answer["changes"]),
    "reporting.window_report": lambda answer: answer["figure"] is not None,
    "notification.messages": lambda answer: answer["counts"].get("sent", 0) >= 3,
}
VISIT = golden.call(RPCS["inspection.record_visit"])["params"]


class Witness:
    """Sees every event of every service."""

    def __init__(self, address: str, password: str) -> None:
        self.connection = amqp.Connection(address, ADMINISTRATOR, password, connect_timeout=10)
        self.connection.connect()
        self.channel = self.connection.channel()
        self.channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        for exchange in {contract.exchange for contract in EVENTS.values()}:
            self.channel.queue_bind(QUEUE, exchange, "#")
        self.channel.basic_consume(QUEUE, callback=self._take, no_ack=True)
        self.messages: list[amqp.Message] = []
        self.refusals: dict[str, Json] = {}

    def _take(self, message: amqp.Message) -> None:
        self.messages.append(message)

    def event(self, type_: str, **data: Any) -> Event:
        """The first event of this type whose data has these values, waited for."""
        deadline = time.monotonic() + SECONDS
        while True:
            for message in self.messages:
                event = decode(message.body, EVENTS)
                if event.type == type_ and all(event.data.get(key) == value for key, value in data.items()):
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no {type_} with {data} within {SECONDS} s; seen: {self.seen()}"
            try:
                self.connection.drain_events(timeout=left)
            except TimeoutError:
                continue

    def seen(self) -> dict[str, int]:
        keys = [message.delivery_info["routing_key"] for message in self.messages]
        return {key: keys.count(key) for key in sorted(set(keys))}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that knows nothing yet."""
    with Platform(tmp_path_factory.mktemp("producers"), external=False) as running:
        yield running


@pytest.fixture(scope="module")
def witness(platform: Platform) -> Iterator[Witness]:
    assert platform.broker is not None
    seen = Witness(f"127.0.0.1:{platform.ports['amqp']}", platform.broker.administrator_password)
    yield seen
    seen.connection.close()


@pytest.fixture(scope="module")
def told(platform: Platform, witness: Witness) -> Witness:
    """The story of the golden examples has been told by RPC, from the campaign to the withdrawn rating."""
    with Client(read_platform(platform.file).amqp_uri("office"), timeout=20) as office:
        office.inspection.publish_campaign(**params("inspection.publish_campaign"))
        office.inspection.import_registry(**params("inspection.import_registry"))
        office.inspection.advance_clock(to=recorded("visit_recorded"))
        office.inspection.record_visit(**VISIT)
        witness.event("scoring.score_changed.v1", level="window", code=VISIT["window"])
        office.inspection.advance_clock(to=golden_event("inspection.ratings_recorded.v1")["time"])
        facts = golden_event("inspection.ratings_recorded.v1")["data"]["ratings"]
        office.inspection.record_ratings(batch_id="B-20070315-1", ratings=[call_of(fact) for fact in facts])
        office.inspection.record_ratings(batch_id="B-20070315-2", ratings=many_satisfied())
        office.inspection.advance_clock(to="2007-03-16T00:00:00.000Z")
        office.inspection.advance_clock(to=recorded("visit_amended"))
        witness.refusals = {call: refusal(office, call) for call in REFUSALS}
        office.inspection.amend_visit(**params("inspection.amend_visit"))
        witness.event("scoring.conformity_changed.v1", conforming=True)
        office.inspection.withdraw_rating(**params("inspection.withdraw_rating"))
        office.inspection.advance_clock(to=recorded("visit_voided"))
        office.inspection.void_visit(**params("inspection.void_visit"))
        witness.event("scoring.conformity_changed.v1", conforming=False)
        witness.event("scoring.verdict_changed.v1", verdict="met")
    return witness


def refusal(office: Client, call: str) -> Json:
    """The error that the golden call to refuse is answered with, as on the wire."""
    with pytest.raises(DomainError) as refused:
        # past the client's own check: what counts is the service's answer
        office.caller.call(call, golden.call(RPCS[call])["error"]["params"])
    return to_wire(refused.value)


def params(call: str) -> Json:
    found: Json = golden.call(RPCS[call])["params"]
    return found


def golden_event(type_: str) -> Json:
    return golden.event(EVENTS[type_])


def recorded(name: str) -> str:
    return str(golden_event(f"inspection.{name}.v1")["data"]["recorded_at"])


def call_of(fact: Json) -> Json:
    """What a source sends so that inspection keeps this fact."""
    return {key: value for key, value in fact.items() if key not in ("version", "withdrawn")}


def many_satisfied() -> list[Json]:
    return [
        {"id": f"hall-20070315-1{n:03d}", "window": VISIT["window"], "channel": "hall", "level": 5,
         "occurred_at": "2007-03-15T04:00:00.000Z"}
        for n in range(120)
    ]


FACTS = [type_ for type_ in EVENTS if type_.startswith("inspection.")]
FIGURES = [type_ for type_ in EVENTS if not type_.startswith("inspection.")]


@pytest.mark.parametrize("type_", FACTS)
def test_inspection_emits_the_golden_fact_to_the_letter(told: Witness, type_: str) -> None:
    example = golden_event(type_)
    emitted = next(
        envelope for envelope in map(envelope_of, told.messages)
        if (envelope["type"], envelope["id"]) == (type_, example["id"])
    )
    # An event's own time is real time; the trace is the call's.
    assert {**emitted, "time": "", "traceparent": ""} == {**example, "time": "", "traceparent": ""}


@pytest.mark.parametrize("type_", FIGURES)
def test_scoring_emits_figures_of_the_golden_shape(told: Witness, type_: str) -> None:
    example = golden_event(type_)
    emitted = [envelope for envelope in map(envelope_of, told.messages) if envelope["type"] == type_]
    assert emitted, told.seen()
    alike = [envelope for envelope in emitted if envelope["data"]["level"] == example["data"]["level"]]
    assert alike, "the example's level is one that the service emits"
    for envelope in alike:
        assert envelope.keys() == example.keys()
        assert envelope["data"].keys() == example["data"].keys()
    assert any(differences(envelope["data"], example["data"]) == [] for envelope in alike), [
        differences(envelope["data"], example["data"]) for envelope in alike
    ]


@pytest.mark.parametrize("level", ["industry", "city"])
def test_industries_and_the_city_have_the_shape_of_their_golden_result(told: Witness, level: str) -> None:
    example = golden.call(RPCS[f"scoring.{level}_score"])["result"]["figure"]
    told.event("scoring.score_changed.v1", level=level)
    figures = [
        envelope["data"]["figure"] for envelope in map(envelope_of, told.messages)
        if envelope["type"] == "scoring.score_changed.v1" and envelope["data"]["level"] == level
    ]
    assert any(differences(figure, example) == [] for figure in figures), [
        differences(figure, example) for figure in figures
    ]


def test_every_event_is_persistent_structured_and_names_its_type(told: Witness) -> None:
    for message in told.messages:
        event = decode(message.body, EVENTS)
        contract = EVENTS[event.type]
        assert message.properties["content_type"] == CONTENT_TYPE
        assert message.properties["delivery_mode"] == 2
        assert message.delivery_info["exchange"] == contract.exchange
        assert message.delivery_info["routing_key"] == contract.routing_key
        assert event.source == f"/mingchuang/{contract.service}"


def test_every_event_of_the_story_can_be_traced_to_a_call(told: Witness) -> None:
    for message in told.messages:
        event = decode(message.body, EVENTS)
        version, trace, span, flags = event.traceparent.split("-")
        assert (len(version), len(trace), len(span), len(flags)) == (2, 32, 16, 2), event.type


READS = [key for key, contract in RPCS.items() if contract.kind == "read" and contract.name != "dead_letter"]


@pytest.mark.parametrize("call", READS)
def test_a_read_answers_in_the_shape_of_its_golden_result(
    told: Witness, platform: Platform, call: str,
) -> None:
    example, arguments = golden.call(RPCS[call])["result"], ASKED.get(call, params(call))
    with Client(read_platform(platform.file).amqp_uri("office"), timeout=30) as office:

        def settled() -> Json | None:
            answer = office.call(call, arguments)
            return answer if call not in ENOUGH or ENOUGH[call](answer) else None

        answer = waited_for(settled, f"{call} tells the whole story; last: {office.call(call, arguments)}")
    assert RPCS[call].result().validate(answer) == {}
    assert differences(answer, example, call) == []


def waited_for(condition: Callable[[], Json | None], what: str) -> Json:
    """What the condition gives once it gives something; each try is a call of its own."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found is not None:
            return found
    raise AssertionError(f"not within {SECONDS} s: {what}")


@pytest.mark.parametrize("call", REFUSALS)
def test_a_refusal_has_the_golden_error_and_names_the_golden_places(told: Witness, call: str) -> None:
    example = golden.call(RPCS[call])["error"]["error"]
    answered = told.refusals[call]
    assert answered["exc_type"] == example["exc_type"]
    assert answered["exc_args"][1].keys() == example["exc_args"][1].keys(), answered["value"]


def envelope_of(message: amqp.Message) -> Json:
    found: Json = orjson.loads(message.body)
    return found


def differences(emitted: Any, example: Any, place: str = "data") -> list[str]:
    """Where two values differ in keys or in kind; an empty list or null says nothing of what it may hold."""
    if emitted is None or example is None:
        return []
    if isinstance(example, dict) and isinstance(emitted, dict):
        found = [f"{place}.{key}: only in one" for key in sorted(emitted.keys() ^ example.keys())]
        for key in (emitted.keys() & example.keys()) - ANY_SHAPE:
            found += differences(emitted[key], example[key], f"{place}.{key}")
        return found
    if isinstance(example, list) and isinstance(emitted, list):
        if not emitted or not example:
            return []
        return differences(_merged(emitted), _merged(example), f"{place}[]")
    kinds = (type(emitted).__name__, type(example).__name__)
    return [] if kinds[0] == kinds[1] else [f"{place}: {kinds[0]} for {kinds[1]}"]


def _merged(values: list[Any]) -> Any:
    """All keys of a list's elements, each with a value of those that have one."""
    if not all(isinstance(value, dict) for value in values):
        return values[0]
    merged: Json = {}
    for value in values:
        merged |= {key: inner for key, inner in value.items() if merged.get(key) in (None, [], {})}
    return merged
