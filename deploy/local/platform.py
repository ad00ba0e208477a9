"""The whole platform on this machine: broker, database, mail sink and the four services, one process each."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

import amqp
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.broker import ADMINISTRATOR, Broker
from deploy.local.database import Database, create_account
from deploy.local.process import (
    Child,
    LocalError,
    end_recorded,
    free_ports,
    port_is_free,
    wait_until,
    write_atomically,
)
from deploy.local.sink import MailSink

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("inspection", "scoring", "notification", "reporting")
CALLERS = ("office", "hotline", "reader", "operator")
PORT_NAMES = (
    "amqp",
    "epmd",
    "distribution",
    "broker_metrics",
    "mongodb",
    "smtp",
    *(f"{service}_ops" for service in SERVICES),
    "pages",
)
READY_SECONDS = 60.0
SERVICE_STOP_SECONDS = 9.0
FIRST_BACK_OFF = 0.2
LONGEST_BACK_OFF = 5.0
# A service that has run this long is well again: its next death waits for the shortest back-off.
WELL_AFTER = 10.0


def default_folder() -> Path:
    """The data folder: the setting DATA, else `.local` in the checkout."""
    return Path(os.environ.get("DATA") or ROOT / ".local").expanduser().resolve()


def say_nothing(text: str) -> None:
    """For who wants no progress."""


@dataclasses.dataclass
class _Kept:
    """A service with what its restarts need to know."""

    child: Child
    started: float = 0.0
    back_off: float = FIRST_BACK_OFF
    due: float = 0.0
    restarts: int = 0
    wanted: bool = True


class Platform:
    """A running platform with all it keeps in `folder`; `with Platform(folder):` starts and stops it.

    `ports` gives some or all of the ports by the names in `PORT_NAMES`; the rest are free ones, remembered in
    the folder. `services` limits which services run, `modules` names other code for some. `settings` adds
    environment variables for every service, or for one ({"CLOCK": "wall"} or {"notification": {"LOG_LEVEL":
    "DEBUG"}}). AMQP_URI and MONGODB_URI in the environment name a broker and a database to use instead of
    private ones, unless `external=False`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        ports: dict[str, int] | None = None,
        services: Sequence[str] = SERVICES,
        modules: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
        external: bool = True,
        say: Callable[[str], None] = say_nothing,
    ) -> None:
        self.folder = Path(folder).resolve() if folder else default_folder()
        self.modules = {service: f"services.{service}.service" for service in services} | (modules or {})
        self.services = tuple(self.modules)
        self.settings = settings or {}
        self._say = say
        self._amqp_uri = os.environ.get("AMQP_URI", "") if external else ""
        self._mongodb_uri = os.environ.get("MONGODB_URI", "") if external else ""
        self._wanted_ports = dict(ports or {})
        self._lock: IO[str] | None = None
        self._kept: dict[str, _Kept] = {}
        self._guard = threading.RLock()
        self._keeper: threading.Thread | None = None
        self._ending = threading.Event()
        self._failure: LocalError | None = None
        self.ports: dict[str, int] = {}
        self.broker: Broker | None = None
        self.database: Database | None = None
        self.sink: MailSink | None = None

    # --- what it tells others

    @property
    def file(self) -> Path:
        """`platform.json`: the addresses, for the command line and the rehearsal."""
        return self.folder / "platform.json"

    @property
    def accounts_file(self) -> Path:
        """`accounts.json` (0600): the passwords of all accounts."""
        return self.folder / "accounts.json"

    @property
    def accounts(self) -> dict[str, dict[str, str]]:
        """{"amqp": {user: password}, "mongodb": {service: password}}; made on first use."""
        path = self.accounts_file
        accounts: dict[str, dict[str, str]] = {}
        if path.exists():
            accounts = json.loads(path.read_text(encoding="utf-8"))
        complete = {
            "amqp": {
                user: accounts.get("amqp", {}).get(user) or secrets.token_urlsafe(18)
                for user in (*SERVICES, *CALLERS)
            },
            "mongodb": {
                service: accounts.get("mongodb", {}).get(service) or secrets.token_urlsafe(18)
                for service in SERVICES
            },
        }
        if complete != accounts:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(complete, indent=2) + "\n", 0o600)
        return complete

    def amqp_uri(self, user: str) -> str:
        """`amqp://…` with the account of a service or a caller."""
        name, secret = quote(user, safe=""), quote(self.accounts["amqp"][user], safe="")
        if self._amqp_uri:
            parts = urlsplit(self._amqp_uri)
            address = parts.netloc.rpartition("@")[2]
            return f"{parts.scheme}://{name}:{secret}@{address}{parts.path or '/'}" + (
                f"?{parts.query}" if parts.query else ""
            )
        return f"amqp://{name}:{secret}@127.0.0.1:{self.ports['amqp']}//"

    def mongodb_uri(self, service: str) -> str:
        """`mongodb://…` with the account of a service, which can open nothing but its own database."""
        secret = quote(self.accounts["mongodb"][service], safe="")
        if self._mongodb_uri:
            parts = urlsplit(self._mongodb_uri)
            address = parts.netloc.rpartition("@")[2]
            options = [
                option
                for option in parts.query.split("&")
                if option and not option.lower().startswith("authsource=")
            ]
            query = "&".join([*options, f"authSource={database_of(service)}"])
            return f"{parts.scheme}://{service}:{secret}@{address}/?{query}"
        if self.database is None:
            raise LocalError("the platform's database has not been started")
        return self.database.uri(service)

    def ops_url(self, service: str) -> str:
        """Base URL of a service's /metrics, /health/live and /health/ready."""
        return f"http://127.0.0.1:{self.ports[f'{service}_ops']}"

    @property
    def pages_url(self) -> str:
        """Base URL of the pages."""
        return f"http://127.0.0.1:{self.ports['pages']}"

    def log(self, service: str) -> Path:
        return self.folder / "logs" / f"{service}.log"

    def restarts(self, service: str) -> int:
        """How often a service has been started again since `start()`."""
        with self._guard:
            return self._kept[service].restarts

    # --- start

    def __enter__(self) -> Platform:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return once every service is ready; on failure stop what was started and
        raise."""
        self._take_folder()
        try:
            self._end_leftovers()
            self.ports = self._choose_ports()
            self._start_parts()
            self._start_services()
        except BaseException:
            self.stop()
            raise

    def _take_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o700)
        lock = (self.folder / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LocalError(
                f"a platform already runs in {self.folder}: stop it, or give another folder in DATA"
            ) from None
        self._lock = lock

    def _end_leftovers(self) -> None:
        records = [self.folder / "processes" / f"{name}.pid.json" for name in SERVICES]
        records += [
            self.folder / "mails" / "sink.pid.json",
            self.folder / "broker" / "broker.pid.json",
            self.folder / "broker" / "epmd.pid.json",
            self.folder / "database" / "mongod.pid.json",
        ]
        for record in records:
            if record.exists() and end_recorded(record):
                self._say(f"  ended a process that an earlier run had left: {record.name.split('.')[0]}")

    def _choose_ports(self) -> dict[str, int]:
        path = self.folder / "ports.json"
        remembered: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        fixed = dict(self._wanted_ports)
        base = os.environ.get("PORT_BASE")
        if base:
            if not base.isdigit() or not 1024 <= int(base) <= 65535 - len(PORT_NAMES):
                highest = 65535 - len(PORT_NAMES)
                raise LocalError(f"PORT_BASE is {base!r}: a number from 1024 to {highest} is needed")
            fixed = {**{name: int(base) + index for index, name in enumerate(PORT_NAMES)}, **fixed}
        chosen = {**{name: port for name, port in remembered.items() if port_is_free(port)}, **fixed}
        taken = [f"{name} {port}" for name, port in fixed.items() if not port_is_free(port)]
        if taken:
            raise LocalError(f"ports taken by another program: {', '.join(taken)}; choose another PORT_BASE")
        missing = [name for name in PORT_NAMES if name not in chosen]
        spare = iter(port for port in free_ports(len(missing) + len(chosen)) if port not in chosen.values())
        chosen.update({name: next(spare) for name in missing})
        write_atomically(path, json.dumps(chosen, indent=2) + "\n")
        return chosen

    def _start_parts(self) -> None:
        self.sink = MailSink(self.folder / "mails", self.ports["smtp"])
        self.sink.start()
        if self._mongodb_uri:
            self._use_external_database()
        else:
            self.database = Database(self.folder / "database", self.ports["mongodb"])
        if self._amqp_uri:
            document = self._definitions(self.accounts["amqp"])
            write_atomically(self.folder / "definitions.json", json.dumps(document, indent=2), 0o600)
            self._check_external_broker()
        else:
            self.broker = Broker(
                self.folder / "broker",
                self.ports["amqp"],
                ports=(self.ports["epmd"], self.ports["distribution"], self.ports["broker_metrics"]),
            )
            self.broker.definitions = self._definitions(
                {**self.accounts["amqp"], ADMINISTRATOR: self.broker.administrator_password}
            )
            self._say("  broker: starting")
            self.broker.begin()
        if self.database is not None:
            self.database.start()
            for service in SERVICES:
                self.database.ensure_account(service, self.accounts["mongodb"][service], database_of(service))
            self._say(f"  database: ready on port {self.database.port}")
        if self.broker is not None:
            self.broker.wait_ready()
            self._say(f"  broker: ready on port {self.broker.port}")

    def _definitions(self, passwords: dict[str, str]) -> dict[str, Any]:
        # In a process of its own: it loads the services, which load eventlet, which this process shall not.
        program = (
            "import json, sys; from services.chassis.topology import definitions; "
            "json.dump(definitions(**json.load(sys.stdin)), sys.stdout)"
        )
        asked = json.dumps({"passwords": passwords, "modules": self.modules})
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            input=asked,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self._plain_environment(),
        )
        if result.returncode:
            raise LocalError(
                f"the broker's exchanges and queues could not be worked out:\n{result.stderr.strip()}"
            )
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    def _plain_environment(self) -> dict[str, str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("AMQP_URI", "MONGODB_URI", "DATA", "ONCE", "VISITS", "PORT_BASE")
        }
        paths = [str(ROOT), str(ROOT / "client"), *filter(None, [environment.get("PYTHONPATH")])]
        for name, value in self.settings.items():
            if not isinstance(value, dict):
                environment[name] = str(value)
        return {**environment, "PYTHONPATH": os.pathsep.join(paths), "EVENTLET_NO_GREENDNS": "yes"}

    def _check_external_broker(self) -> None:
        place = self.describe()["amqp"]
        for user, password in self.accounts["amqp"].items():
            connection = amqp.Connection(
                f"{place['host']}:{place['port']}",
                user,
                password,
                virtual_host=place["vhost"],
                connect_timeout=10,
            )
            try:
                connection.connect()
            except (amqp.AMQPError, OSError) as error:
                raise LocalError(
                    f"the broker in AMQP_URI refuses the account {user} ({error}): import the "
                    "accounts and queues there (rabbitmqctl import_definitions "
                    f"{self.folder}/definitions.json) and start again"
                ) from None
            finally:
                connection.collect()
        self._say("  broker: the one in AMQP_URI, ready")

    def _use_external_database(self) -> None:
        client: MongoClient[dict[str, Any]] = MongoClient(self._mongodb_uri, serverSelectionTimeoutMS=10000)
        try:
            for service in SERVICES:
                create_account(client, service, self.accounts["mongodb"][service], database_of(service))
        except PyMongoError as error:
            raise LocalError(
                "MONGODB_URI must name a database that can be reached, with an account that may create "
                f"accounts: {error}"
            ) from None
        finally:
            client.close()

    def _environment(self, service: str) -> dict[str, str]:
        environment = self._plain_environment()
        environment.update(
            {
                "PYTHONUNBUFFERED": "1",
                "SERVICE_NAME": service,
                "AMQP_URI": self.amqp_uri(service),
                "MONGODB_URI": self.mongodb_uri(service),
                "MONGODB_DATABASE": database_of(service),
                "OPS_ADDRESS": f"127.0.0.1:{self.ports[f'{service}_ops']}",
                "PUBLIC_URL": self.pages_url,
                "CLOCK": os.environ.get("CLOCK") or "driven",
                "LOG_LEVEL": os.environ.get("LOG_LEVEL") or "INFO",
            }
        )
        if service == "reporting":
            environment["PAGES_ADDRESS"] = f"127.0.0.1:{self.ports['pages']}"
        if service == "notification":
            environment["SMTP_URI"] = f"smtp://127.0.0.1:{self.ports['smtp']}"
            environment["MAIL_FROM"] = os.environ.get("MAIL_FROM") or "mingchuang@example.org"
        for name, value in self.settings.items():
            if isinstance(value, dict):
                if name == service:
                    environment.update({key: str(one) for key, one in value.items()})
            else:
                environment[name] = str(value)
        return environment

    def _start_services(self) -> None:
        for service in self.services:
            command = [sys.executable, "-m", "services.chassis.run", self.modules[service]]
            child = Child(
                service,
                command,
                log=self.log(service),
                record=self.folder / "processes" / f"{service}.pid.json",
                environment=self._environment(service),
                folder=ROOT,
                # Orphaned, it would wait for a broker and a database that end too; it is made to be killed.
                orphaned=signal.SIGKILL,
            )
            self._kept[service] = _Kept(child)
        self._ending.clear()
        self._keeper = threading.Thread(target=self._keep_running, name="keeper of the services", daemon=True)
        self._keeper.start()
        self.wait_ready()
        write_atomically(self.file, json.dumps(self.describe(), indent=2, ensure_ascii=False) + "\n")

    def _keep_running(self) -> None:
        while not self._ending.wait(0.05):
            with self._guard:
                for kept in self._kept.values():
                    try:
                        self._keep_one(kept)
                    except (LocalError, OSError) as error:
                        self._failure = LocalError(f"{kept.child.name} could not be started: {error}")

    def _keep_one(self, kept: _Kept) -> None:
        now = time.monotonic()
        if not kept.wanted or kept.child.running:
            return
        if kept.started and not kept.due:
            if now - kept.started > WELL_AFTER:
                kept.back_off = FIRST_BACK_OFF
            kept.due = now + kept.back_off
            kept.back_off = min(kept.back_off * 2, LONGEST_BACK_OFF)
            self._say(f"  {kept.child.name} ended ({kept.child.exit_code}); starting it again")
        if now >= kept.due:
            kept.restarts += bool(kept.started)
            kept.child.start()
            kept.started, kept.due = now, 0.0

    def ready(self, service: str) -> bool:
        """True when the service answers /health/ready with 200."""
        try:
            with urllib.request.urlopen(f"{self.ops_url(service)}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def wait_ready(self, services: Sequence[str] | None = None, seconds: float = READY_SECONDS) -> None:
        """Return once these services (default: all) are ready; raise with the end of the log of one that is
        not."""
        deadline = time.monotonic() + seconds
        for service in services or self.services:

            def settled(service: str = service) -> bool:
                return self._failure is not None or self._given_up(service) or self.ready(service)

            try:
                wait_until(settled, max(0.1, deadline - time.monotonic()), f"{service} is ready", 0.05)
            except LocalError as error:
                raise LocalError(f"{error}; {self._end_of_log(service)}") from None
            if self._failure is not None:
                raise self._failure
            if self._given_up(service):
                raise LocalError(f"{service} ended at each of several starts; {self._end_of_log(service)}")

    def _given_up(self, service: str) -> bool:
        with self._guard:
            kept = self._kept[service]
            # A kill comes from outside and says nothing about the service.
            return (
                kept.restarts >= 3
                and kept.back_off >= 8 * FIRST_BACK_OFF
                and kept.child.exit_code not in (None, -signal.SIGKILL)
            )

    def _end_of_log(self, service: str) -> str:
        return f"the end of {self.log(service)}:\n{self._kept[service].child.last_words()}"

    def describe(self) -> dict[str, Any]:
        """What `platform.json` holds: every address, and where the passwords are, but no password."""
        broker = urlsplit(self._amqp_uri)
        return {
            "version": 1,
            "folder": str(self.folder),
            "amqp": {
                "host": broker.hostname if self._amqp_uri else "127.0.0.1",
                "port": (broker.port or 5672) if self._amqp_uri else self.ports["amqp"],
                "vhost": (unquote(broker.path[1:]) or "/") if self._amqp_uri else "/",
                "private": not self._amqp_uri,
            },
            "mongodb": {
                "address": urlsplit(self._mongodb_uri).netloc.rpartition("@")[2]
                if self._mongodb_uri
                else f"127.0.0.1:{self.ports['mongodb']}",
                "private": not self._mongodb_uri,
                "databases": {service: database_of(service) for service in SERVICES},
            },
            "services": {
                service: {"ops": self.ops_url(service), "log": str(self.log(service))}
                for service in self.services
            },
            "pages": self.pages_url,
            "smtp": f"127.0.0.1:{self.ports['smtp']}",
            "mails": str(self.folder / "mails" / "new"),
            "accounts": str(self.accounts_file),
            "broker_metrics": None
            if self._amqp_uri
            else f"http://127.0.0.1:{self.ports['broker_metrics']}/metrics",
            "logs": str(self.folder / "logs"),
            "pid": os.getpid(),
        }

    # --- faults, for tests

    def child(self, service: str) -> Child:
        """The process of a service."""
        return self._kept[service].child

    def kill(self, service: str) -> int:
        """SIGKILL a service; it is started again by itself. Returns the pid that was killed."""
        child = self.child(service)
        pid = child.pid
        child.kill()
        return pid

    def stop_service(self, service: str) -> None:
        """Stop one service in an orderly way and keep it stopped until `start_service`."""
        with self._guard:
            self._kept[service].wanted = False
        self.child(service).stop(SERVICE_STOP_SECONDS)

    def start_service(self, service: str) -> None:
        """Start a stopped service and return once it is ready."""
        with self._guard:
            kept = self._kept[service]
            kept.wanted, kept.due, kept.started = True, 0.0, 0.0
        self.wait_ready([service])

    def restart_service(self, service: str) -> None:
        """An orderly stop and a start."""
        self.stop_service(service)
        self.start_service(service)

    # --- stop

    def stop(self) -> None:
        """Stop the services, then the sink, the broker and the database; within 20 s, leaving no process."""
        with self._guard:
            for kept in self._kept.values():
                kept.wanted = False
        children = [kept.child for kept in self._kept.values()]
        if self.broker is not None or self.database is not None:
            # A paused part would hold up the orderly stop of the services.
            for part in (self.broker, self.database):
                if part is not None:
                    part.resume()
        _in_parallel([partial(child.stop, SERVICE_STOP_SECONDS) for child in children])
        self._ending.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        parts = [part for part in (self.sink, self.broker, self.database) if part is not None]
        _in_parallel([part.stop for part in parts])
        self._kept.clear()
        self._failure = None
        if self._lock is not None:
            self.file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None


def database_of(service: str) -> str:
    """The name of a service's database."""
    return f"mingchuang_{service}"


def _in_parallel(actions: Sequence[Callable[[], object]]) -> None:
    """Run the actions side by side; when all have ended, raise the first error of any."""
    errors: list[BaseException] = []

    def guarded(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
