"""A private mongod: a replica set of one, with accounts; loopback only; ended with its parent."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.process import (
    Child,
    LocalError,
    end_recorded,
    free_ports,
    port_is_free,
    wait_until,
    write_atomically,
)

REPLICA_SET = "mingchuang"
ROOT = "root"
START_SECONDS = 60.0
STOP_SECONDS = 12.0

# What a service does in its own database, and no more: no dropDatabase, no users, no profiling, no other
# database.
SERVICE_ACTIONS = [
    "find",
    "insert",
    "update",
    "remove",
    "createCollection",
    "dropCollection",
    "createIndex",
    "dropIndex",
    "listCollections",
    "listIndexes",
    "collMod",
    "collStats",
    "dbStats",
    "indexStats",
    "changeStream",
    "renameCollectionSameDB",
]


def mongod_program() -> Path | None:
    """The mongod to use: setting MONGOD, else an installed one, else the wheel's; None when there is none."""
    named = os.environ.get("MONGOD")
    if named:
        return Path(named)
    installed = shutil.which("mongod")
    if installed:
        return Path(installed)
    spec = importlib.util.find_spec("fiftyone")
    for location in (spec.submodule_search_locations or []) if spec else []:
        candidate = Path(location) / "db" / "bin" / "mongod"
        if candidate.exists():
            return candidate
    return None


def create_account(client: MongoClient[dict[str, Any]], service: str, password: str, database: str) -> None:
    """Give `service` an account that can open nothing but `database`; repeatable, a changed password is taken
    over."""
    role = f"{service}_service"
    home = client[database]
    privileges = [
        # The second resource form covers system collections, which a role on "" leaves out.
        {"resource": {"db": database, "collection": ""}, "actions": SERVICE_ACTIONS},
    ]
    if home.command("rolesInfo", role)["roles"]:
        home.command("updateRole", role, privileges=privileges, roles=[])
    else:
        home.command("createRole", role, privileges=privileges, roles=[])
    verb = "updateUser" if home.command("usersInfo", service)["users"] else "createUser"
    home.command(verb, service, pwd=password, roles=[{"role": role, "db": database}])


class Database:
    """mongod on 127.0.0.1:`port`, everything of it inside `folder`."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.port = port if port is not None else free_ports(1)[0]
        self.log = self.folder / "mongod.log"
        self._accounts: dict[str, tuple[str, str]] = {}
        self._server = Child(
            "database", self._command(), log=self.log, record=self.folder / "mongod.pid.json"
        )

    def _command(self) -> list[str]:
        return [
            str(mongod_program()),
            "--dbpath",
            str(self.folder / "data"),
            "--port",
            str(self.port),
            "--bind_ip",
            "127.0.0.1",
            "--replSet",
            REPLICA_SET,
            "--keyFile",
            str(self.folder / "keyfile"),
            "--networkMessageCompressors",
            "snappy,zstd",
            "--wiredTigerCacheSizeGB",
            "0.5",
            "--nounixsocket",
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
            # The only member has nobody to hand over to: waiting for that at a stop would be in vain.
            "--setParameter",
            "shutdownTimeoutMillisForSignaledShutdown=200",
        ]

    @property
    def root_password(self) -> str:
        """Password of the account `root`, made on first use and kept in the folder."""
        return self._secret("root", lambda: secrets.token_urlsafe(18))

    def _secret(self, name: str, make: Any) -> str:
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, make(), 0o400)
        return path.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server.running

    def uri(self, user: str = ROOT) -> str:
        """`mongodb://…` of `root` or of an account made by `ensure_account` here."""
        if user == ROOT:
            password, source = self.root_password, "admin"
        elif user in self._accounts:
            password, source = self._accounts[user]
        else:
            raise LocalError(f"the database has no account {user}: ensure_account makes one")
        return account_uri(f"127.0.0.1:{self.port}", user, password, source)

    def start(self) -> None:
        """Start mongod and return once it is a primary with the account `root`."""
        if mongod_program() is None:
            raise LocalError(
                "there is no mongod: install one, name it in MONGOD, or set MONGODB_URI to one to use"
            )
        end_recorded(self._server.record)
        if not port_is_free(self.port):
            raise LocalError(f"the database's port {self.port} is taken by another program")
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self._secret("keyfile", lambda: secrets.token_hex(128))
        password = self.root_password
        if self.log.exists():
            os.replace(self.log, self.log.with_suffix(".log.1"))
        self._server.start()
        with self._direct() as client:
            wait_until(
                lambda: not self.running or _answers(client), START_SECONDS, "the database answers", 0.05
            )
            if not self.running:
                raise LocalError(
                    f"the database ended at start; the end of {self.log}:\n{self._server.last_words()}"
                )
            self._initiate(client)
            wait_until(
                lambda: bool(client.admin.command("hello").get("isWritablePrimary")),
                START_SECONDS,
                "the database becomes primary",
                0.05,
            )
            try:
                # Without any account yet, mongod lets a loopback connection make the first one, and only
                # that.
                client.admin.command("createUser", ROOT, pwd=password, roles=["root"])
            except OperationFailure:
                pass
        with self.client() as client:
            client.admin.command("ping")

    @contextmanager
    def _direct(self, **options: Any) -> Iterator[MongoClient[dict[str, Any]]]:
        client: MongoClient[dict[str, Any]] = MongoClient(
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=2000, **options
        )
        try:
            yield client
        finally:
            client.close()

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> None:
        members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
        if (self.folder / "initiated").exists():
            with self._direct(username=ROOT, password=self.root_password) as root:
                config = root.admin.command("replSetGetConfig")["config"]
                if config["members"][0]["host"] != members[0]["host"]:
                    # The folder was last used on another port.
                    config["members"] = members
                    config["version"] += 1
                    root.admin.command("replSetReconfig", config, force=True)
            return
        try:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except OperationFailure as error:
            if error.code != 23:  # AlreadyInitialized: an earlier first start was interrupted here
                raise
        write_atomically(self.folder / "initiated", "")

    @contextmanager
    def client(self, user: str = ROOT) -> Iterator[MongoClient[dict[str, Any]]]:
        """A client of an account, closed at the end of the block."""
        client: MongoClient[dict[str, Any]] = MongoClient(self.uri(user), serverSelectionTimeoutMS=10000)
        try:
            yield client
        finally:
            client.close()

    def ensure_account(self, service: str, password: str, database: str) -> str:
        """The URI of an account named `service` that can open nothing but `database`; repeatable."""
        with self.client() as client:
            create_account(client, service, password, database)
        self._accounts[service] = (password, database)
        return self.uri(service)

    def stop(self) -> None:
        """Stop in an orderly way."""
        self._server.stop(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, as a power cut would; `start()` recovers what was journaled."""
        self._server.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze mongod: connections stay open and half dead."""
        self._server.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._server.signal(signal.SIGCONT)


def account_uri(address: str, user: str, password: str, source: str, replica_set: str = REPLICA_SET) -> str:
    """`mongodb://…` of an account kept in database `source`."""
    return (
        f"mongodb://{quote(user, safe='')}:{quote(password, safe='')}@{address}/"
        f"?replicaSet={replica_set}&authSource={source}"
    )


def _answers(client: MongoClient[dict[str, Any]]) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True
