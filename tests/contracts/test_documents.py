"""The generated documents say what the contracts say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml
from marshmallow import RAISE, Schema, fields, validate

from mingchuang.cli import build_parser
from services.contracts import documents, golden, shapes, words
from services.contracts.catalogue import EVENTS, RPCS
from services.contracts.envelope import decode


def test_every_contract_has_its_words_and_its_golden_example() -> None:
    assert documents.undocumented() == []


def test_the_documents_in_the_repository_are_those_of_the_contracts() -> None:
    stale = [
        path.name
        for path, text in documents.documents().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "run `python -m services.contracts.documents` and commit what it writes"


def test_the_same_contracts_always_give_the_same_bytes() -> None:
    assert documents.documents() == documents.documents()


def test_asyncapi_has_a_channel_a_message_and_a_sender_for_every_event() -> None:
    document = yaml.safe_load(documents.asyncapi_text())
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"].keys() == EVENTS.keys() == document["components"]["messages"].keys()
    senders = {name for name, operation in document["operations"].items() if operation["action"] == "send"}
    assert senders == {f"{contract.service}.send.{type_}" for type_, contract in EVENTS.items()}


def test_asyncapi_names_the_receivers_that_the_services_entrypoints_make() -> None:
    # In a process of its own: the services' modules load nameko.
    code = (
        "import json; from services.chassis.topology import SERVICES, consumers;"
        "print(json.dumps({s: [b for _, bound in consumers(s).values() for b in bound] for s in SERVICES}))"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=documents.ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    bound = json.loads(run.stdout.splitlines()[-1])
    types = {(contract.exchange, contract.routing_key): type_ for type_, contract in EVENTS.items()}
    entrypoints = {
        service: {types[exchange, key] for exchange, key in pairs}
        for service, pairs in bound.items()
        if pairs
    }
    assert entrypoints == {service: set(found) for service, found in documents.CONSUMED.items()}, (
        "bring CONSUMED in services/contracts/documents.py up to date"
    )


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = yaml.safe_load(documents.asyncapi_text())
    for reference in _references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_the_examples_of_asyncapi_are_events_that_their_consumers_take() -> None:
    document = yaml.safe_load(documents.asyncapi_text())
    for type_, message in document["components"]["messages"].items():
        for example in message["examples"]:
            assert decode(json.dumps(example["payload"]).encode(), EVENTS).type == type_


def test_the_rpc_reference_has_every_call_once() -> None:
    headings = [line for line in documents.rpc_text().splitlines() if line.startswith("### ")]
    for contract in RPCS.values():
        own = f"### {contract.routing_key}"
        shared = f"### every service.{contract.name}"
        assert headings.count(own) + headings.count(shared) == 1


def test_the_rpc_reference_names_every_parameter_with_its_words() -> None:
    text = documents.rpc_text()
    for contract in RPCS.values():
        for name in contract.params().fields:
            chinese, english = words.field_words(contract.params.__name__, name)
            assert f"| `{name}` |" in text
            assert f"| {chinese} | {english} |" in text


def test_words_that_no_contract_uses_are_not_kept() -> None:
    used: dict[str, Schema] = {}
    shapes.reachable(documents.EnvelopeSchema, used)
    for event in EVENTS.values():
        shapes.reachable(event.schema, used)
    for call in RPCS.values():
        shapes.reachable(call.params, used)
        shapes.reachable(call.result, used)
    names = {name for schema in used.values() for name in schema.fields}
    qualified = {f"{owner}.{name}" for owner, schema in used.items() for name in schema.fields}
    assert words.FIELDS.keys() - names - qualified == set()
    assert words.EVENTS.keys() == {f"{c.service}.{c.name}" for c in EVENTS.values()}
    assert words.CALLS.keys() <= {c.routing_key for c in RPCS.values()} | {c.name for c in RPCS.values()}
    assert words.SERVICES.keys() == set(documents.SERVICES)


def test_every_command_of_the_reference_is_one_the_command_line_knows() -> None:
    for key, command in words.COMMANDS.items():
        assert key in RPCS or f"scoring.{key}" in RPCS
        program, *arguments = shlex.split(command)
        assert program == "mingchuang"
        assert build_parser().parse_args(arguments).run is not None


def test_a_field_type_that_has_no_json_schema_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Schema):
        moment = fields.AwareDateTime()

    monkeypatch.setitem(words.FIELDS, "moment", ("时刻", "moment"))
    with pytest.raises(TypeError, match=r"Odd\.moment: AwareDateTime"):
        shapes.json_schema(Odd, {})


def test_bounds_patterns_choices_and_null_reach_the_json_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bounded(Schema):
        class Meta:
            unknown = RAISE

        score = fields.Integer(required=True, validate=validate.Range(1, 5))
        state = fields.String(allow_none=True, validate=validate.OneOf(["due", "sent"]))
        code = fields.String(validate=validate.And(validate.Length(1, 9), validate.Regexp(r"^[\w.]+$")))
        many = fields.List(fields.String(validate=validate.Length(max=3)), validate=validate.Length(1, 500))

    for name in ("score", "code", "many"):
        monkeypatch.setitem(words.FIELDS, name, (name, name))
    found: dict[str, Any] = {}
    shapes.json_schema(Bounded, found)
    assert found["Bounded"]["required"] == ["score"]
    shown = found["Bounded"]["properties"]
    assert (shown["score"]["type"], shown["score"]["minimum"], shown["score"]["maximum"]) == ("integer", 1, 5)
    assert shown["state"]["type"] == ["string", "null"]
    assert shown["state"]["enum"] == ["due", "sent", None]
    assert (shown["code"]["minLength"], shown["code"]["maxLength"]) == (1, 9)
    assert shown["code"]["pattern"] == r"^[\p{L}\p{N}_.]+$"
    assert (shown["many"]["minItems"], shown["many"]["maxItems"]) == (1, 500)
    assert shown["many"]["items"] == {"type": "string", "maxLength": 3}


def test_check_reports_a_stale_document_and_writes_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    monkeypatch.setattr(documents, "FOLDER", tmp_path / "docs")
    assert documents.main(["--check"]) == 1
    assert "stale: docs/rpc.md" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert documents.main([]) == 0
    assert documents.main(["--check"]) == 0


def test_long_texts_are_cut_in_the_reference_and_say_how_long_they_are() -> None:
    workbook = golden.call(RPCS["inspection.import_registry"])["params"]["workbook"]
    assert documents.shorten({"workbook": workbook})["workbook"].endswith(f"({len(workbook)} characters)")


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["$ref"])] if "$ref" in value else []
        return own + [r for inner in value.values() for r in _references(inner)]
    return [r for inner in value for r in _references(inner)] if isinstance(value, list) else []
