"""Every contract has one golden example, and producer and consumer may rely on it."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from marshmallow import Schema, fields

from services.contracts import golden
from services.contracts.base import EventContract, RpcContract
from services.contracts.catalogue import EVENTS, RPCS
from services.contracts.envelope import CONTENT_TYPE, Event, decode, encode
from services.contracts.errors import DOMAIN_ERRORS, DomainError, InvalidPayload, from_wire, to_wire

each_event = pytest.mark.parametrize("contract", EVENTS.values(), ids=list(EVENTS))
each_call = pytest.mark.parametrize("contract", RPCS.values(), ids=list(RPCS))


def required_of(schema: type[Schema]) -> list[str]:
    return sorted(name for name, field in schema().fields.items() if field.required)


def test_the_golden_folder_holds_one_file_per_contract_and_no_other() -> None:
    held = set(golden.FOLDER.rglob("*.json"))
    wanted = {golden.event_path(c) for c in EVENTS.values()} | {golden.call_path(c) for c in RPCS.values()}
    assert held == wanted


@each_event
def test_a_golden_event_is_what_its_contract_accepts(contract: EventContract) -> None:
    envelope = golden.event(contract)
    event = Event(
        id=envelope["id"], type=envelope["type"], source=envelope["source"], subject=envelope["subject"],
        time=envelope["time"], version=envelope["aggregateversion"], data=envelope["data"],
        traceparent=envelope["traceparent"],
    )
    assert event.type == contract.type
    assert event.source == f"/mingchuang/{contract.service}"
    assert contract.load(envelope["data"]) == envelope["data"], "the golden says every field in its wire form"


@each_event
def test_a_golden_event_survives_the_wire_unchanged(contract: EventContract) -> None:
    event = decode(_bytes(golden.event(contract)), {contract.type: contract})
    assert event.to_dict() == golden.event(contract)
    assert decode(encode(event), {contract.type: contract}) == event


@each_event
def test_a_consumer_ignores_what_a_later_producer_adds(contract: EventContract) -> None:
    envelope = golden.event(contract)
    richer = copy.deepcopy(envelope) | {"laterextension": "1"}
    _add_everywhere(richer["data"], contract.schema())
    assert decode(_bytes(richer), {contract.type: contract}).to_dict() == envelope


@each_event
def test_an_event_without_a_required_field_is_refused_by_the_fields_name(contract: EventContract) -> None:
    for name in required_of(contract.schema):
        envelope = golden.event(contract)
        del envelope["data"][name]
        with pytest.raises(InvalidPayload) as refused:
            decode(_bytes(envelope), {contract.type: contract})
        assert list(refused.value.fields) == [name]


@each_event
def test_an_event_of_a_version_not_known_here_is_refused_by_its_type(contract: EventContract) -> None:
    unknown = f"{contract.service}.{contract.name}.v{contract.version + 90}"
    envelope = golden.event(contract) | {"type": unknown}
    with pytest.raises(InvalidPayload, match="unknown event type or version") as refused:
        decode(_bytes(envelope), {contract.type: contract})
    assert unknown in str(refused.value.fields["type"])


@each_event
def test_an_envelope_without_an_attribute_is_refused_by_its_name(contract: EventContract) -> None:
    for name in ("specversion", "id", "source", "type", "subject", "time", "data", "aggregateversion"):
        envelope = golden.event(contract)
        del envelope[name]
        with pytest.raises(InvalidPayload) as refused:
            decode(_bytes(envelope), {contract.type: contract})
        assert list(refused.value.fields) == [name]


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidPayload, match="not JSON"):
        decode(b'{"specversion": "1.0"', EVENTS)


def test_events_travel_as_structured_cloudevents() -> None:
    assert CONTENT_TYPE == "application/cloudevents+json"


@each_call
def test_golden_parameters_are_accepted_and_the_result_is_as_promised(contract: RpcContract) -> None:
    example = golden.call(contract)
    contract.load(example["params"])
    assert contract.result().validate(example["result"]) == {}


@each_call
def test_an_unknown_parameter_is_refused_by_its_name(contract: RpcContract) -> None:
    with pytest.raises(InvalidPayload) as refused:
        contract.load(golden.call(contract)["params"] | {"a_field_nobody_knows": 1})
    assert list(refused.value.fields) == ["a_field_nobody_knows"]


@each_call
def test_a_missing_parameter_is_refused_by_its_name(contract: RpcContract) -> None:
    for name in required_of(contract.params):
        params = golden.call(contract)["params"]
        del params[name]
        with pytest.raises(InvalidPayload) as refused:
            contract.load(params)
        assert list(refused.value.fields) == [name]


@each_call
def test_a_golden_refusal_is_an_error_of_the_call_and_survives_the_wire(contract: RpcContract) -> None:
    example = golden.call(contract)
    if "error" in example:
        wire = example["error"]["error"]
        assert wire["exc_type"] in contract.errors
        assert to_wire(from_wire(wire)) == wire


@each_call
def test_every_error_a_call_names_is_a_domain_error(contract: RpcContract) -> None:
    assert set(contract.errors) <= DOMAIN_ERRORS.keys()


def test_an_error_this_contract_does_not_know_becomes_not_ready_with_its_text() -> None:
    error = from_wire({"exc_type": "SomethingNew", "value": "what it said", "exc_args": ["what it said"]})
    assert isinstance(error, DomainError)
    assert "SomethingNew: what it said" in str(error)


def test_an_answer_in_two_forms_is_refused_with_the_rule() -> None:
    params = golden.call(RPCS["inspection.record_visit"])["params"]
    params["answers"][0] = {"item": "F-ENV-4", "result": "pass", "value": 3}
    with pytest.raises(InvalidPayload) as refused:
        RPCS["inspection.record_visit"].load(params)
    assert list(refused.value.fields) == ["answers.0"]


def test_501_ratings_in_a_call_are_refused() -> None:
    call = RPCS["inspection.record_ratings"]
    rating = golden.call(call)["params"]["ratings"][0]
    call.load({"batch_id": "B-500", "ratings": [rating] * 500})
    with pytest.raises(InvalidPayload) as refused:
        call.load({"batch_id": "B-501", "ratings": [rating] * 501})
    assert list(refused.value.fields) == ["ratings"]


def _bytes(envelope: dict[str, Any]) -> bytes:
    return orjson.dumps(envelope)


def _add_everywhere(data: Any, schema: Schema) -> None:
    """Puts an unknown field into the data and into every nested object whose shape the contract knows."""
    if not isinstance(data, dict):
        return
    for name, field in schema.fields.items():
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            values = data.get(name) if isinstance(data.get(name), list) else [data.get(name)]
            for value in values or []:
                _add_everywhere(value, inner.schema)
    data["a_field_of_later"] = {"nested": [1]}
