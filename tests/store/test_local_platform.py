"""The private broker, database and mail sink keep accounts apart, and leave no process behind."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import textwrap
from pathlib import Path

import amqp
import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.local.broker import Broker
from deploy.local.database import Database
from deploy.local.process import Child, LocalError, end_recorded, free_ports, port_answers, wait_until
from deploy.local.sink import MailSink

NOT_AUTHORIZED = 13


def descendants_naming(text: str) -> list[psutil.Process]:
    """Running processes whose command line or environment names `text`."""
    found = []
    for process in psutil.process_iter():
        try:
            if text in " ".join(process.cmdline()) or text in process.environ().get("HOME", ""):
                found.append(process)
        except psutil.Error:
            continue
    return found


# --- database


@pytest.fixture(scope="module")
def two_services(database: Database) -> Database:
    for service in ("inspection", "scoring"):
        database.ensure_account(service, f"secret of {service}", f"mingchuang_{service}")
        with database.client(service) as client:
            client[f"mingchuang_{service}"].facts.insert_one({"owner": service})
    return database


def test_a_service_reads_and_writes_its_own_database_in_a_transaction(two_services: Database) -> None:
    with two_services.client("scoring") as client, client.start_session() as session:
        facts = client.mingchuang_scoring.facts
        with session.start_transaction():
            facts.insert_one({"_id": "in a transaction"}, session=session)
        assert facts.find_one({"_id": "in a transaction"}) is not None
        facts.create_index("owner")
        assert "facts" in client.mingchuang_scoring.list_collection_names(authorizedCollections=True)
        with client.mingchuang_scoring.watch() as stream:
            facts.insert_one({"_id": "seen by the stream"})
            assert stream.next()["documentKey"] == {"_id": "seen by the stream"}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda client: client.mingchuang_inspection.facts.find_one(),
        lambda client: client.mingchuang_inspection.facts.insert_one({}),
        lambda client: client.mingchuang_inspection.facts.drop(),
        lambda client: list(
            client.mingchuang_scoring.facts.aggregate(
                [{"$out": {"db": "mingchuang_inspection", "coll": "stolen"}}]
            )
        ),
        lambda client: list(
            client.mingchuang_scoring.facts.aggregate(
                [{"$merge": {"into": {"db": "mingchuang_inspection", "coll": "stolen"}}}]
            )
        ),
        lambda client: client.admin.command(
            "renameCollection", "mingchuang_scoring.facts", to="mingchuang_inspection.stolen"
        ),
        lambda client: client.local["oplog.rs"].find_one(),
        lambda client: client.mingchuang_scoring.command("createUser", "another", pwd="x", roles=[]),
        lambda client: client.drop_database("mingchuang_scoring"),
    ],
    ids=[
        "find",
        "insert",
        "drop",
        "out",
        "merge",
        "rename",
        "oplog",
        "create a user",
        "drop its own database",
    ],
)
def test_a_service_is_refused_everything_outside_its_own_collections(
    two_services: Database, attempt: object
) -> None:
    with two_services.client("scoring") as client:
        with pytest.raises(OperationFailure) as refused:
            attempt(client)  # type: ignore[operator]
    assert refused.value.code == NOT_AUTHORIZED


def test_a_lookup_into_the_database_of_another_service_is_refused(two_services: Database) -> None:
    stage = {
        "$lookup": {"from": {"db": "mingchuang_inspection", "coll": "facts"}, "pipeline": [], "as": "stolen"}
    }
    with two_services.client("scoring") as client, pytest.raises(OperationFailure):
        list(client.mingchuang_scoring.facts.aggregate([stage]))


def test_nobody_without_an_account_sees_anything(two_services: Database) -> None:
    client: MongoClient[dict[str, object]] = MongoClient(
        "127.0.0.1", two_services.port, directConnection=True
    )
    with client, pytest.raises(OperationFailure) as refused:
        client.mingchuang_scoring.facts.find_one()
    assert refused.value.code == NOT_AUTHORIZED


def test_a_changed_password_of_an_account_is_taken_over(database: Database) -> None:
    database.ensure_account("changing", "before", "mingchuang_changing")
    database.ensure_account("changing", "after", "mingchuang_changing")
    with database.client("changing") as client:
        assert client.mingchuang_changing.facts.find_one() is None


def test_the_database_keeps_what_was_acknowledged_through_kill_9_and_another_port(tmp_path: Path) -> None:
    first = Database(tmp_path)
    first.start()
    with first.client() as client:
        client.kept.facts.insert_one({"_id": 1})
    first.kill()
    second = Database(tmp_path)
    assert second.port != first.port
    second.start()
    try:
        with second.client() as client:
            assert client.kept.facts.find_one() == {"_id": 1}
    finally:
        second.stop()
    assert descendants_naming(str(tmp_path)) == []


# --- broker


def test_two_brokers_run_side_by_side_and_leave_no_process(broker: Broker, tmp_path: Path) -> None:
    other = Broker(tmp_path)
    other.start()
    try:
        for node in (broker, other):
            with amqp.Connection(
                f"127.0.0.1:{node.port}", "administrator", node.administrator_password
            ) as connection:
                assert connection.connected
        with pytest.raises(amqp.AccessRefused):
            amqp.Connection(
                f"127.0.0.1:{other.port}", "administrator", broker.administrator_password
            ).connect()
    finally:
        other.stop()
    assert descendants_naming(str(tmp_path)) == []
    assert not port_answers(other.port)


def test_a_broker_keeps_a_durable_message_through_kill_9(tmp_path: Path) -> None:
    node = Broker(tmp_path)
    node.start()
    try:
        with amqp.Connection(
            f"127.0.0.1:{node.port}", "administrator", node.administrator_password, confirm_publish=True
        ) as connection:
            channel = connection.channel()
            channel.queue_declare(
                "kept", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
            )
            channel.basic_publish_confirm(amqp.Message("kept", delivery_mode=2), routing_key="kept")
        # The queue's own name is on the disk only about half a second after its declaration.
        names = list((tmp_path / "data").glob("*/quorum/*/*.dets"))
        wait_until(
            lambda: all(b"kept" in file.read_bytes() for file in names), 20, "the queue is written down"
        )
        node.kill()
        node.start()
        with amqp.Connection(
            f"127.0.0.1:{node.port}", "administrator", node.administrator_password
        ) as connection:
            channel = connection.channel()
            got: list[amqp.Message] = []

            def delivered() -> bool:
                message = channel.basic_get("kept")
                got.extend([message] if message else [])
                return bool(got)

            wait_until(delivered, 20, "the message is there again")
            assert got[0].body == "kept"
    finally:
        node.stop()
    assert descendants_naming(str(tmp_path)) == []


def test_accounts_can_be_imported_into_a_running_broker(broker: Broker) -> None:
    broker.import_definitions(
        {
            "users": [{"name": "reader", "password": "for reading", "tags": ""}],
            "permissions": [{"user": "reader", "vhost": "/", "configure": "", "write": "", "read": ".*"}],
        }
    )
    with amqp.Connection(f"127.0.0.1:{broker.port}", "reader", "for reading") as connection:
        with pytest.raises(amqp.AccessRefused):
            connection.channel().queue_declare("not allowed")


def test_a_taken_port_is_named(tmp_path: Path, broker: Broker) -> None:
    with pytest.raises(LocalError, match=f"AMQP port {broker.port} is taken"):
        Broker(tmp_path, broker.port).start()


# --- processes


def test_children_end_with_a_parent_that_is_killed_with_9(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        from pathlib import Path
        from deploy.local.database import Database
        server = Database(Path({str(tmp_path)!r}))
        server.start()
        print(server.pid, flush=True)
        input()
    """)
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    child.wait(20)
    assert descendants_naming(str(tmp_path)) == []


def test_a_start_ends_what_an_earlier_run_left_and_no_process_of_anyone_else(tmp_path: Path) -> None:
    record = tmp_path / "left.pid.json"
    left = Child("left", ["sleep", "300"], log=tmp_path / "log", record=record)
    left.start()
    identity = record.read_text(encoding="utf-8")
    assert end_recorded(record)
    assert not left.running
    stranger = Child(
        "stranger", ["sleep", "300"], log=tmp_path / "log", record=tmp_path / "stranger.pid.json"
    )
    stranger.start()
    try:
        record.write_text(identity.replace(str(left.pid), str(stranger.pid)), encoding="utf-8")
        later = psutil.Process(stranger.pid).create_time() - 60
        record.write_text(f'{{"pid": {stranger.pid}, "started": {later}}}', encoding="utf-8")
        assert not end_recorded(record)
        assert stranger.running
    finally:
        stranger.stop(5)


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(port_answers(port) for port in ports)


# --- mail sink


def send(sink: MailSink, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=20) as client:
        return client.sendmail("office@example.org", list(recipients), "Subject: 通报\r\n\r\n正文".encode())


def test_the_sink_keeps_a_message_with_its_envelope(sink: MailSink) -> None:
    send(sink, "contact001@example.org", "contact002@example.org")
    (message,) = sink.messages("contact002@example.org")
    assert message["X-Envelope-From"] == "office@example.org"
    assert "正文".encode() in sink.files()[0].read_bytes()
    assert sink.messages("contact003@example.org") == []


def test_the_sink_answers_each_recipient_as_it_is_told_and_again_with_yes(sink: MailSink) -> None:
    sink.answer({"gone@example.org": 550, "*@busy.example.org": 451})
    refused = send(sink, "contact001@example.org", "gone@example.org", "one@busy.example.org")
    assert {address: code for address, (code, _) in refused.items()} == {
        "gone@example.org": 550,
        "one@busy.example.org": 451,
    }
    assert len(sink.messages()) == 1
    sink.answer({})
    assert send(sink, "gone@example.org") == {}


def test_a_slow_sink_lets_a_client_run_into_its_time_out_and_keeps_nothing_half(sink: MailSink) -> None:
    sink.answer({}, slow_seconds=30)
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=0.5) as client:
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
            client.sendmail("office@example.org", ["contact001@example.org"], "Subject: x\r\n\r\nx")
        client.close()
    assert sink.messages() == []


def test_an_answer_the_sink_does_not_know_is_refused(sink: MailSink) -> None:
    with pytest.raises(LocalError, match=r"250, 451 or 550, not with \[999\]"):
        sink.answer({"contact001@example.org": 999})


def test_the_folder_of_secrets_is_closed_to_others(database: Database) -> None:
    for name in ("root", "keyfile"):
        assert os.stat(database.folder / name).st_mode & 0o077 == 0
