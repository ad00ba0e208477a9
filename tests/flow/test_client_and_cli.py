"""The client, the command line and other systems' clients against the running platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import amqp
import orjson
import pytest
from pymongo import MongoClient

from deploy.local.platform import Platform
from deploy.local.process import wait_until
from mingchuang.campaign_file import load
from mingchuang.cli import main
from mingchuang.client import Client
from services.contracts.base import parse_instant
from services.contracts.catalogue import RPCS
from services.contracts.errors import NotAllowed, from_wire

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "campaigns" / "changzhou-2007.yaml"
REGISTRY = ROOT / "campaigns" / "changzhou-2007" / "registry.xlsx"
WINDOW, CONTACT = "YZ-08", "lianxi056@example.org"
NOON = "2007-01-20T12:00:00.000+08:00"


@pytest.fixture
def here(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below the platform's, so that the command line finds it by itself."""
    for name in ("MINGCHUANG_PLATFORM", "AMQP_URI", "DATA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".local").symlink_to(platform.folder)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def office(platform: Platform) -> Iterator[Client]:
    with Client(platform.amqp_uri("office"), timeout=30) as client:
        yield client


@pytest.fixture
def city(here: Path, office: Client, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The campaign, published, with the registry imported and the clock past NOON."""
    assert main(["publish", str(CAMPAIGN)]) == 0
    assert main(["import", str(REGISTRY)]) == 0
    if parse_instant(office.inspection.clock()["now"]) < datetime.fromisoformat(NOON):
        assert main(["advance-clock", NOON]) == 0
    capsys.readouterr()
    return load(CAMPAIGN)


def visit(campaign: dict[str, Any], visit_id: str, **changes: Any) -> dict[str, Any]:
    """A visit at which the first required pass/fail item failed and all others of the kind passed."""
    items = [item for item in campaign["items"] if item["kind"] == "pass_fail"]
    bad = next(item for item in items if item["required"] and not item["critical"])
    answers = [{"item": item["id"], "result": "fail" if item is bad else "pass",
                **({"note": "现场查看未做到"} if item is bad else {})} for item in items]
    return {"visit_id": visit_id, "campaign": campaign["id"], "campaign_version": campaign["version"],
            "window": WINDOW, "supervisor": "DC001", "kind": "planned",
            "occurred_at": "2007-01-15T10:00:00+08:00", "answers": answers, **changes}


def rating(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"R-cli-{number}", "window": WINDOW, "channel": "web", "level": 5,
            "occurred_at": f"2007-01-16T10:00:{number:02d}+08:00", **changes}


def written(folder: Path, document: Any) -> str:
    path = folder / "fact.json"
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command; never a traceback."""
    code = main(argv)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def answered(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    code, out, err = said(capsys, *argv, "--json")
    assert code == 0, err
    return json.loads(out)


def test_the_campaign_and_the_registry_may_be_sent_again(
        city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "publish", str(CAMPAIGN))
    assert code == 0
    assert out == f"已发布 {city['id']} 第 1 版：{city['name']}\n"
    assert "窗口与上次相同" in said(capsys, "import", str(REGISTRY))[1]
    assert answered(capsys, "import", str(REGISTRY))["changed_windows"] == 0


def test_a_workbook_that_is_none_is_refused(city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "import", str(CAMPAIGN))
    assert (code, out) == (2, "")
    assert "workbook" in err


def test_a_visit_recorded_from_a_file_shows_in_score_explanation_and_mail(
        city: dict[str, Any], here: Path, office: Client, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(here, visit(city, "V-cli-1"))
    code, out, _ = said(capsys, "record", file)
    assert code == 0
    assert out == "查访 V-cli-1：已收录，第 1 版，问题 1 处\n"
    assert said(capsys, "record", file)[1] == out

    def explained() -> bool:
        return "V-cli-1" in said(capsys, "explain", WINDOW)[1]

    wait_until(explained, 30, "the explanation names the visit")
    code, out, _ = said(capsys, "score", "window", WINDOW)
    assert code == 0
    assert "达标：否" in out
    for argv in (("score",), ("score", "industry", "YZ")):
        code, out, _ = said(capsys, *argv)
        assert code == 0
        assert "满意率（前三级，通行口径）" in out

    def sent() -> bool:
        found = office.notification.messages(state="sent", recipient=CONTACT)["messages"]
        return any(message["event_type"].startswith("inspection.visit_recorded") for message in found)

    wait_until(sent, 30, "the window's contact got a mail")
    found = answered(capsys, "messages", "--recipient", CONTACT, "--state", "sent")["messages"]
    code, out, _ = said(capsys, "messages", "--recipient", CONTACT)
    assert found[0]["id"] in out
    code, out, _ = said(capsys, "resend", found[0]["id"])
    assert code == 0
    assert found[0]["id"] in out


@pytest.mark.parametrize(("changes", "words"), [
    ({"window": "XX-99"}, "XX-99"),
    ({"occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
    ({"occurred_at": "2006-01-01T00:00:00Z"}, "occurred_at"),
    ({"answers": [{"item": "NO-SUCH", "result": "pass"}]}, "NO-SUCH"),
    ({"campaign_version": 77}, "campaign_version"),
])
def test_a_visit_against_the_rules_is_refused_with_its_field(
        city: dict[str, Any], here: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any],
        words: str) -> None:
    code, out, err = said(capsys, "record", written(here, visit(city, "V-cli-2", **changes)))
    assert (code, out) == (2, "")
    assert words in err


def test_the_same_visit_id_with_another_body_is_refused(
        city: dict[str, Any], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "record", written(here, visit(city, "V-cli-3")))[0] == 0
    other = visit(city, "V-cli-3", supervisor="DC002")
    code, _, err = said(capsys, "record", written(here, other), "--json")
    assert code == 2
    assert json.loads(err)["error"] == "Conflict"


def test_of_a_batch_of_ratings_the_bad_ones_are_named_and_the_others_kept(
        city: dict[str, Any], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ratings = [rating(1), rating(2, window="XX-99"), rating(3, level=6), rating(4)]
    code, out, err = said(capsys, "record", written(here, {"batch_id": "B-cli-1", "ratings": ratings}))
    assert code == 2
    assert "拒收 2 条" in out
    assert "第 2 条 R-cli-2" in err
    assert "第 3 条 R-cli-3" in err
    code, out, _ = said(capsys, "record", written(here, {"batch_id": "B-cli-2", "ratings": [rating(1)]}))
    assert (code, "重复 1 条" in out) == (0, True)


def test_the_figures_verify(city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "verify")
    assert code == 0, err
    assert out.count("一致") == 2


def test_status_shows_four_services_and_the_clock_its_day(
        city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "status")
    assert code == 0
    assert out.count("正常") == 4
    assert answered(capsys, "clock")["day"] >= "2007-01-20"


def test_the_clock_never_goes_back(city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "advance-clock", "2007-01-01T00:00:00+08:00")
    assert code == 2
    assert "to：" in err


def test_unknown_codes_are_bad_input(city: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("score", "window", "XX-99"), ("explain", "XX-99"), ("score", "industry", "XX"),
                 ("resend", "no-such-mail"), ("dead-letters", "show", "no-such-letter")):
        code, out, err = said(capsys, *argv)
        assert (code, out) == (2, ""), argv
        assert argv[-1] in err


def test_a_dead_letter_is_listed_shown_and_replayed(
        city: dict[str, Any], platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    body = "这不是事件 cli"
    assert platform.broker is not None
    administrator = connected(platform.broker.uri())
    administrator.channel().basic_publish(
        amqp.Message(body, content_type="application/cloudevents+json", delivery_mode=2),
        routing_key="scoring.visits")
    letters: MongoClient[dict[str, Any]] = MongoClient(platform.mongodb_uri("scoring"))
    try:
        def waiting() -> list[str]:
            found = answered(capsys, "dead-letters", "list", "--service", "scoring")["scoring"]
            return [letter["id"] for letter in found["dead_letters"] if letter["cause"] == "InvalidPayload"]

        wait_until(lambda: bool(waiting()), 20, "the message is a dead letter")
        [letter] = waiting()
        assert letter in said(capsys, "dead-letters", "list")[1]
        shown = answered(capsys, "dead-letters", "show", letter)
        assert shown["service"] == "scoring"
        assert shown["dead_letter"]["body"] == body
        code, out, _ = said(capsys, "dead-letters", "replay", letter)
        assert (code, out) == (0, "已放回队列 1 封\n")
        wait_until(lambda: waiting() not in ([], [letter]), 30, "it failed again, as a new dead letter")
    finally:
        letters["mingchuang_scoring"]["dead_letters"].delete_many({"body": body.encode()})
        letters.close()
        administrator.close()


def test_the_command_is_a_program_that_finds_the_platform(city: dict[str, Any], here: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
    done = subprocess.run([sys.executable, "-m", "mingchuang", "clock", "--json"], cwd=here, env=environment,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["driven"] is True


def test_an_account_may_do_what_its_rights_say_and_is_told_which_it_lacks(
        city: dict[str, Any], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "score", "--account", "reader")[0] == 0
    code, _, err = said(capsys, "record", written(here, visit(city, "V-cli-4")), "--account", "reader")
    assert code == 1
    assert "账号 reader 无权调用 inspection.record_visit" in err


STOCK = """
import json, sys
import amqp
from nameko.standalone.rpc import ClusterRpcProxy
with ClusterRpcProxy({"AMQP_URI": sys.argv[1]}, timeout=20) as rpc:
    print(json.dumps(rpc.scoring.city_score()))
    try:
        rpc.inspection.void_visit(visit_id="V-cli-1", reason="不该发生")
    except amqp.AccessRefused as refused:
        print(json.dumps({"code": refused.reply_code, "text": refused.reply_text}))
"""


def test_a_stock_nameko_client_reads_scores_and_is_refused_an_order_by_the_broker_itself(
        city: dict[str, Any], platform: Platform, office: Client) -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", STOCK, platform.amqp_uri("reader")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    score, refusal = map(json.loads, done.stdout.splitlines())
    assert score["level"] == "city"
    assert score["figure"]["satisfaction"]["n"] >= 0
    assert refusal["code"] == 403
    assert "inspection.void_visit" in refusal["text"]


def connected(uri: str) -> Any:
    """A bare AMQP connection."""
    account, _, address = uri.removeprefix("amqp://").rpartition("@")
    user, _, password = account.partition(":")
    connection = amqp.Connection(address.rstrip("/").removesuffix("/%2F"), user, password, connect_timeout=10)
    connection.connect()
    return connection


def bare_call(uri: str, key: str, payload: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """The answer to a call published with just these properties. Raises what the broker says."""
    answers: list[Any] = []
    connection = connected(uri)
    try:
        channel = connection.channel()
        channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=answers.append)
        channel.basic_publish(
            amqp.Message(orjson.dumps({"args": [], "kwargs": payload}), content_type="application/json",
                         reply_to="amq.rabbitmq.reply-to", correlation_id="1", **properties),
            exchange="nameko-rpc", routing_key=key, mandatory=True)
        while not answers:
            connection.drain_events(timeout=20)
    finally:
        connection.collect()
    answer: dict[str, Any] = orjson.loads(answers[0].body)
    return answer


def test_a_forged_user_is_refused_by_the_broker(city: dict[str, Any], platform: Platform) -> None:
    with pytest.raises(amqp.PreconditionFailed, match="user_id"):
        bare_call(platform.amqp_uri("hotline"), "scoring.city_score", {}, user_id="office")


def test_a_call_without_a_user_may_read_but_not_order(city: dict[str, Any], platform: Platform) -> None:
    uri = platform.amqp_uri("hotline")
    assert bare_call(uri, "scoring.city_score", {})["result"]["level"] == "city"
    order = {"batch_id": "B-cli-3", "ratings": [rating(9)]}
    refused = bare_call(uri, "inspection.record_ratings", order)["error"]
    assert isinstance(from_wire(refused), NotAllowed)
    assert bare_call(uri, "inspection.record_ratings", order, user_id="hotline")["error"] is None


def test_the_reader_may_order_nothing_and_the_operator_sees_every_status(
        city: dict[str, Any], platform: Platform) -> None:
    with Client(platform.amqp_uri("reader"), timeout=20) as reader:
        for key, contract in RPCS.items():
            if contract.kind == "order":
                with pytest.raises(NotAllowed, match="无权调用"):
                    reader.caller.call(key, {})
    with Client(platform.amqp_uri("operator"), timeout=20) as operator:
        for calls in operator.services.values():
            assert calls.status()["dead_letters"] >= 0
