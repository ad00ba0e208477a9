"""MongoDB as every service uses it: majority, journaled, one database and account a service; outbox, ledger, leases.

Reserved collections in each service's database: ``outbox``, ``ledger``, ``leases``, ``dead_letters``, ``clock``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from bson import ObjectId
from nameko.extensions import DependencyProvider
from pymongo import ASCENDING, IndexModel, MongoClient, ReadPreference, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.chassis import trace
from services.chassis.clock import real_now
from services.chassis.settings import Settings, settings
from services.contracts.base import EventContract
from services.contracts.envelope import Event, encode

T = TypeVar("T")
Document = dict[str, Any]
TIMEOUT_MS = 20_000
LEDGER_DAYS = 90
NAMESPACE_EXISTS = 48


class Mongo:
    """One service's database.

    Promises: what ``transaction`` returned is on a majority's journal; the events given to ``publish`` in it are
    stored if and only if it committed; ``unapplied`` lets each event through once.
    """

    def __init__(self, client: MongoClient[Document], database: str, owner: str) -> None:
        self.client = client
        self.owner = owner
        self.db: Database[Document] = client.get_database(
            database,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self.on_commit: Callable[[], None] = lambda: None

    @classmethod
    def connect(cls, uri: str, database: str, owner: str) -> Mongo:
        """A connection; errors of reaching the server show at the first use, within 20 s."""
        client: MongoClient[Document] = MongoClient(
            uri,
            timeoutMS=TIMEOUT_MS,
            serverSelectionTimeoutMS=10_000,
            connectTimeoutMS=5_000,
            retryWrites=True,
            appname=f"mingchuang-{owner}"[:100],
            tz_aware=True,
            maxPoolSize=50,
        )
        return cls(client, database, owner)

    def ensure_indexes(self) -> None:
        """The chassis's own collections and indexes; harmless when repeated."""
        self.collection(
            "outbox",
            [IndexModel([("owner", ASCENDING), ("order", ASCENDING)]), IndexModel([("order", ASCENDING)])],
        )
        self.collection("ledger", [IndexModel([("at", ASCENDING)], expireAfterSeconds=LEDGER_DAYS * 86400)])
        self.collection("leases", [])
        self.collection("clock", [])
        self.collection("dead_letters", [IndexModel([("state", ASCENDING), ("at", ASCENDING)])])

    def collection(self, name: str, indexes: Sequence[IndexModel]) -> None:
        """Create a collection (transactions need it to exist) with its indexes."""
        try:
            self.db.create_collection(name, check_exists=False)
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise
        if indexes:
            self.db[name].create_indexes(list(indexes))

    def transaction(self, work: Callable[[ClientSession], T]) -> T:
        """Run ``work`` in a transaction, again on a transient error or a duplicate key that a rival wrote first.

        ``work`` may run several times and must only touch the database. After the commit the relay is woken.
        """
        for attempt in range(5):
            try:
                with self.client.start_session() as session:
                    result = session.with_transaction(
                        work,
                        read_concern=ReadConcern("snapshot"),
                        write_concern=WriteConcern("majority", j=True),
                    )
                self.on_commit()
                return result
            except DuplicateKeyError:
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def snapshot(self) -> Iterator[ClientSession]:
        """A session whose reads all see one moment of the database."""
        with self.client.start_session(snapshot=True) as session:
            yield session

    def publish(self, session: ClientSession, events: Iterable[Event]) -> None:
        """Store outgoing events in the outbox within this transaction; the relay publishes them after the commit."""
        now = real_now()
        writes = [
            UpdateOne(
                {"_id": event.id},
                {
                    "$set": {
                        "exchange": f"{event.type.split('.')[0]}.events",
                        "routing_key": event.type.split(".", 1)[1],
                        "type": event.type,
                        "body": encode(_traced(event)),
                        "owner": self.owner,
                        "order": ObjectId(),
                        "at": now,
                    }
                },
                upsert=True,
            )
            for event in events
        ]
        if writes:
            self.db["outbox"].bulk_write(writes, session=session)

    def unapplied(self, session: ClientSession, events: Sequence[Event], by: str = "") -> list[Event]:
        """Those of ``events`` this service has not applied yet, each id once; marks them applied in this transaction.

        ``by`` keeps apart two handlers of one service that apply the same event.
        """
        unique = {f"{by}:{event.id}" if by else event.id: event for event in reversed(events)}
        known = {
            doc["_id"]
            for doc in self.db["ledger"].find({"_id": {"$in": list(unique)}}, {"_id": 1}, session=session)
        }
        fresh = {key: event for key, event in reversed(unique.items()) if key not in known}
        if fresh:
            now = real_now()
            self.db["ledger"].insert_many([{"_id": key, "at": now} for key in fresh], session=session)
        return list(fresh.values())

    def lease(self, name: str, seconds: float) -> bool:
        """Take or renew the lease ``name`` for ``seconds`` of real time. False while another process holds it."""
        now = real_now()
        try:
            self.db["leases"].update_one(
                {"_id": name, "$or": [{"owner": self.owner}, {"until": {"$lt": now}}]},
                {"$set": {"owner": self.owner, "until": now + timedelta(seconds=seconds)}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True

    def release(self, name: str) -> None:
        """Give the lease back, so that another replica need not wait for its end."""
        self.db["leases"].delete_one({"_id": name, "owner": self.owner})


def _traced(event: Event) -> Event:
    if event.traceparent or not trace.current():
        return event
    return Event(
        event.id,
        event.type,
        event.source,
        event.subject,
        event.time,
        event.version,
        event.data,
        trace.child_of(trace.current()),
    )


def contract_types(contracts: Iterable[EventContract]) -> dict[str, EventContract]:
    return {contract.type: contract for contract in contracts}


def connect(config: Settings) -> Mongo:
    """The database of this process's service."""
    return Mongo.connect(config.mongodb_uri, config.mongodb_database, config.instance)


_shared: list[Mongo] = []


def shared() -> Mongo:
    """One Mongo for the whole process."""
    if not _shared:
        _shared.append(connect(settings()))
    return _shared[0]


class StoreProvider(DependencyProvider):
    """Gives the service its store, built once on the process's Mongo, indexes ensured before anything is handled."""

    def __init__(self, store: Callable[[Mongo], Any]) -> None:
        self.factory = store

    def setup(self) -> None:
        self.store = self.factory(shared())
        self.store.ensure_indexes()

    def get_dependency(self, worker_ctx: Any) -> Any:
        return self.store
