"""The typed client: its methods are the contract's, it refuses before it sends, it finds its platform."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mingchuang.client import Client
from mingchuang.find import find_amqp_uri, find_platform, read_platform
from services.contracts.catalogue import RPCS
from services.contracts.errors import InvalidPayload, NotReady

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "amqp://office:secret@127.0.0.1:9//"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MINGCHUANG_PLATFORM", "AMQP_URI", "DATA"):
        monkeypatch.delenv(name, raising=False)


def a_platform(folder: Path, **changes: Any) -> Path:
    """A platform.json with its accounts file in ``folder/.local``."""
    local = folder / ".local"
    local.mkdir(parents=True)
    accounts = local / "accounts.json"
    accounts.write_text(json.dumps({"amqp": {"office": "s/cret", "reader": "r"}, "mongodb": {}}))
    place = {"host": "127.0.0.1", "port": 5699, "vhost": "/"}
    (local / "platform.json").write_text(json.dumps({"amqp": place, "accounts": str(accounts), **changes}))
    return local / "platform.json"


@pytest.mark.parametrize("key", sorted(RPCS))
def test_every_call_of_the_contract_has_a_method_with_its_parameters(key: str) -> None:
    service, name = key.split(".")
    method = getattr(Client(NOWHERE).services[service], name)
    given = {n: p.default is inspect.Parameter.empty for n, p in inspect.signature(method).parameters.items()}
    declared = {n: field.required for n, field in RPCS[key].params().fields.items()}
    assert given == declared


def test_a_method_sends_its_arguments_under_the_calls_key(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(NOWHERE)
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(client, "call", lambda key, payload: sent.append((key, payload)) or {})
    client.notification.messages(state="sent", limit=3)
    client.scoring.dead_letter(dead_letter="D-1")
    assert sent == [("notification.messages", {"state": "sent", "limit": 3}),
                    ("scoring.dead_letter", {"dead_letter": "D-1"})]


def test_what_breaks_the_contract_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidPayload) as refused:
        Client(NOWHERE).inspection.record_visit(
            visit_id="V 1", campaign="c", campaign_version=0, window="1001", supervisor="DC001",
            kind="planned", occurred_at="2007-03-01 09:30",
            answers=[{"item": "F-1", "value": 3, "result": "pass"}])
    assert set(refused.value.fields) == {"visit_id", "campaign_version", "occurred_at", "answers.0"}


def test_a_client_that_was_never_used_never_looked_for_a_platform(tmp_path: Path) -> None:
    with Client():
        pass


def test_the_platform_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    file = a_platform(tmp_path / "checkout")
    below = tmp_path / "checkout" / "a" / "b"
    below.mkdir(parents=True)
    found = find_platform(below)
    assert found is not None
    assert found.file == file
    assert found.amqp_uri("office") == "amqp://office:s%2Fcret@127.0.0.1:5699/%2F"


def test_a_named_platform_comes_before_amqp_uri_and_that_before_a_found_one(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_platform(tmp_path)
    other = a_platform(tmp_path / "other", amqp={"host": "127.0.0.1", "port": 5700, "vhost": "/"})
    assert ":5699/" in find_amqp_uri(start=tmp_path)
    monkeypatch.setenv("AMQP_URI", NOWHERE)
    assert find_amqp_uri(start=tmp_path) == NOWHERE
    monkeypatch.setenv("MINGCHUANG_PLATFORM", str(other))
    assert ":5700/" in find_amqp_uri(start=tmp_path)
    monkeypatch.setenv("MINGCHUANG_PLATFORM", str(other.parent))
    assert ":5700/" in find_amqp_uri(start=tmp_path)


def test_the_data_folder_of_a_platform_may_be_a_setting(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_platform(tmp_path / "elsewhere")
    monkeypatch.setenv("DATA", str(tmp_path / "elsewhere" / ".local"))
    assert find_amqp_uri("reader", tmp_path).startswith("amqp://reader:r@127.0.0.1:5699/")


def test_without_a_platform_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"make run.*MINGCHUANG_PLATFORM.*AMQP_URI"):
        find_amqp_uri(start=tmp_path)


def test_an_account_the_platform_does_not_have_is_named_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidPayload, match="没有账号 mayor；可用的有 office、reader"):
        read_platform(a_platform(tmp_path)).amqp_uri("mayor")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"amqp": {"host": "x"}, "accounts": "y"}'])
def test_a_broken_platform_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "platform.json"
    file.write_text(text)
    with pytest.raises(NotReady, match=r"platform\.json 不能用"):
        read_platform(file)


def test_a_platform_file_that_is_gone_means_that_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="平台未启动"):
        read_platform(tmp_path / "platform.json")


def test_the_client_needs_neither_eventlet_nor_nameko_nor_pymongo() -> None:
    program = ("import sys, mingchuang.cli; "
               "sys.exit(str(sorted({'eventlet', 'nameko', 'pymongo'} & set(sys.modules))))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env={"PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"})
    assert done.stderr.strip() == "[]"
