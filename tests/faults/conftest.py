"""A broker and a database for this folder, and probe processes (``probe_service``) on them, a new state for each test."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from deploy.local.broker import ADMINISTRATOR, Broker
from deploy.local.database import Database
from deploy.local.process import Child, free_ports, wait_until
from services.chassis.caller import Caller
from services.contracts import inspection
from services.contracts.envelope import CONTENT_TYPE, Event, encode, new_event

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.faults.probe_service"
RETRY_DELAYS = "0.3,0.6"
CAMPAIGNS, WINDOWS, RPC_QUEUE = "inspection.campaigns", "inspection.windows", "rpc-inspection"
LETTERS_QUEUE = "inspection.dead-letters"
PASSWORDS = {user: secrets.token_hex(8) for user in ("inspection", "scoring", "office", "reader", "hotline", "operator")}
_numbers = itertools.count()


def definitions(passwords: dict[str, str]) -> dict[str, Any]:
    """The broker's definitions, worked out in a process that may load eventlet."""
    program = ("import json, sys; from services.chassis.topology import definitions; "
               f"json.dump(definitions(json.load(sys.stdin), {{'inspection': {MODULE!r}}}), sys.stdout)")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], input=json.dumps(passwords), cwd=ROOT,
                          env={**os.environ, "RETRY_DELAYS": RETRY_DELAYS}, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="session")
def probe_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("probe-broker"))
    broker.definitions = definitions({**PASSWORDS, ADMINISTRATOR: broker.administrator_password})
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def probe_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("probe-database"))
    database.start()
    try:
        yield database
    finally:
        database.stop()


class Process:
    """One probe process."""

    def __init__(self, child: Child, ops: int) -> None:
        self.child, self.ops = child, ops

    def get(self, path: str, seconds: float = 5) -> tuple[int, str]:
        """Status and text of an answer of the operators' port; (0, "") while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}{path}", timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, urllib.error.URLError):
            return 0, ""

    @property
    def ready(self) -> bool:
        return self.get("/health/ready")[0] == 200

    def until_ready(self, seconds: float = 30) -> Process:
        wait_until(lambda: self.ready or not self.child.running, seconds, f"ready, but {self.get('/health/ready')}", 0.05)
        assert self.child.running, self.child.last_words()
        return self

    def missing(self) -> list[str]:
        """What stands between the process and being ready."""
        status, text = self.get("/health/ready")
        return list(json.loads(text)["missing"]) if status == 503 else []

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, summed over the labels not given; 0 where there is none."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def logs(self, message: str = "") -> list[dict[str, Any]]:
        """The log lines of this message (all without one)."""
        if not self.child.log.exists():
            return []
        lines = [json.loads(line) for line in self.child.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if not message or line["message"] == message]

    def until_ended(self, seconds: float = 30) -> int:
        wait_until(lambda: not self.child.running, seconds, f"the probe ends; {self.child.last_words()}")
        code = self.child.exit_code
        assert code is not None
        return code

    def terminate(self) -> None:
        self.child.signal(signal.SIGTERM)

    def kill(self) -> None:
        self.child.kill()


class Probe:
    """Starts probe processes on the folder's broker and database and looks at what they did."""

    def __init__(self, broker: Broker, database: Database, folder: Path) -> None:
        self.broker, self.database, self.folder = broker, database, folder
        self.name = f"probe_{next(_numbers)}"
        self.processes: list[Process] = []
        self.callers: dict[str, Caller] = {}
        self.uri = database.ensure_account("inspection", PASSWORDS["inspection"], self.name)
        self.client: MongoClient[dict[str, Any]] = MongoClient(database.uri(), tz_aware=True)
        self.db = self.client[self.name]

    def start(self, wait: bool = True, **environment: str) -> Process:
        """A probe process, ready unless ``wait`` is false; ``environment`` changes its settings."""
        number, [ops] = len(self.processes), free_ports(1)
        child = Child(
            f"probe {number}", [sys.executable, "-W", "ignore", "-m", "services.chassis.run", MODULE],
            log=self.folder / f"{number}.log", record=self.folder / f"{number}.pid", folder=ROOT,
            environment={
                "PATH": os.environ["PATH"], "EVENTLET_NO_GREENDNS": "yes", "PYTHONPATH": str(ROOT),
                "SERVICE_NAME": "inspection", "AMQP_URI": self.broker.uri("inspection", PASSWORDS["inspection"]),
                "MONGODB_URI": self.uri, "MONGODB_DATABASE": self.name, "OPS_ADDRESS": f"127.0.0.1:{ops}",
                "CLOCK": "driven", "PROBE_FOLDER": str(self.folder), "RETRY_DELAYS": RETRY_DELAYS,
                "PUBLISH_TIMEOUT": "2", "START_DEADLINE": "20", "LEASE_SECONDS": "1", "LOG_LEVEL": "DEBUG", **environment,
            },
        )
        child.start()
        process = Process(child, ops)
        self.processes.append(process)
        return process.until_ready() if wait else process

    def call(self, key: str, payload: dict[str, Any] | None = None, user: str = "office", timeout: float = 15) -> dict[str, Any]:
        if user not in self.callers:
            self.callers[user] = Caller(self.broker.uri(user, PASSWORDS[user]))
        return self.callers[user].call(key, payload or {}, timeout=timeout)

    def order(self, campaign: str, **what: Any) -> dict[str, Any]:
        return self.call("inspection.publish_campaign", {"campaign": {"id": campaign, **what}})

    def channel(self, user: str = ADMINISTRATOR) -> Any:
        """An open channel of an account; its ``connection`` is closed at the test's end by the broker or here."""
        password = None if user == ADMINISTRATOR else PASSWORDS[user]
        connection = amqp.Connection(
            f"127.0.0.1:{self.broker.port}", userid=user,
            password=password or self.broker.administrator_password, connect_timeout=5, confirm_publish=True,
        )
        connection.connect()
        return connection.channel()

    def send(self, body: bytes, *, exchange: str = "inspection.events", key: str = "campaign_published.v1",
             content_type: str = CONTENT_TYPE, **properties: Any) -> None:
        """A message as some other program would publish it, confirmed."""
        channel = self.channel()
        channel.basic_publish(amqp.Message(body, content_type=content_type, delivery_mode=2, **properties),
                              exchange=exchange, routing_key=key)
        channel.connection.close()

    def send_events(self, events: list[Event]) -> None:
        channel = self.channel()
        for event in events:
            channel.basic_publish(amqp.Message(encode(event), content_type=CONTENT_TYPE, delivery_mode=2),
                                  exchange="inspection.events", routing_key="campaign_published.v1")
        channel.connection.close()

    def release(self) -> None:
        (self.folder / "release").touch()

    def times(self, collection: str, one: str) -> int:
        """How often this was done; 0 when never."""
        found = self.db[collection].find_one({"_id": one})
        return int(found["times"]) if found else 0

    def letters(self) -> list[dict[str, Any]]:
        return list(self.db["dead_letters"].find().sort("at", 1))

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
        wait_until(condition, seconds, f"{what}; outbox {self.db['outbox'].count_documents({})}, letters "
                   f"{self.db['dead_letters'].count_documents({})}, last words {[p.child.last_words(3) for p in self.processes]}")

    def until_applied(self, campaigns: list[str], seconds: float = 30) -> None:
        """Each of these went the whole way, exactly once."""
        wanted = {"_id": {"$in": campaigns}}

        def done() -> bool:
            return self.db["windows"].count_documents(wanted) == len(campaigns)

        try:
            wait_until(done, seconds, "applied", 0.05)
        except Exception:
            counts = {name: self.db[name].count_documents(wanted) for name in ("orders", "applied", "windows")}
            raise AssertionError(
                f"{counts} of {len(campaigns)}, outbox {self.db['outbox'].count_documents({})}, letters "
                f"{[(one['cause'], one['error']) for one in self.letters()][:3]}, "
                f"last words {[process.child.last_words(4) for process in self.processes]}"
            ) from None
        for name in ("applied", "windows"):
            assert self.db[name].count_documents({**wanted, "times": {"$ne": 1}}) == 0

    def close(self) -> None:
        self.broker.resume()
        self.database.resume()
        for caller in self.callers.values():
            caller.close()
        for process in self.processes:
            process.kill()
        channel = self.channel()
        for queue in self.broker.definitions["queues"] if self.broker.definitions else []:
            name = queue["name"]
            # what a killed process held comes back only when the broker has noticed its end
            wait_until(lambda name=name: channel.queue_declare(name, passive=True).consumer_count == 0, 30,
                       f"nobody consumes {name}")
            channel.queue_purge(name)
        channel.connection.close()
        self.client.drop_database(self.name)
        self.client.close()


@pytest.fixture
def probe(probe_broker: Broker, probe_database: Database, tmp_path: Path) -> Iterator[Probe]:
    running = Probe(probe_broker, probe_database, tmp_path)
    try:
        yield running
    finally:
        running.close()


def campaign_event(campaign: str, **what: Any) -> Event:
    """The event that ordering this campaign causes."""
    return new_event(inspection.campaign_published, subject=f"campaign/{campaign}", version=1,
                     time="2007-03-01T00:00:00.000Z", data={"campaign": {"id": campaign, **what}})
