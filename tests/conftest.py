"""Real parts for the tests, each started once per session and only when a test asks for it.

This process is never patched by eventlet: services run as processes of their own and tests speak to them from
outside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.broker import Broker
from deploy.local.database import Database
from deploy.local.platform import Platform
from deploy.local.sink import MailSink

pytest_plugins = ["tests.rows"]

# Settings meant for `make run` must not lead tests to somebody's broker or database.
for _name in ("AMQP_URI", "MONGODB_URI", "DATA", "ONCE", "VISITS", "PORT_BASE", "CLOCK", "MAIL_FROM"):
    os.environ.pop(_name, None)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A RabbitMQ with the one account `administrator`; not the platform's."""
    node = Broker(tmp_path_factory.mktemp("broker"))
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A mongod with the one account `root`; not the platform's."""
    server = Database(tmp_path_factory.mktemp("database"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSink]:
    server = MailSink(tmp_path_factory.mktemp("mails"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sink(_sink: MailSink) -> MailSink:
    """A mail sink, empty and taking everything at the start of each test; not the platform's."""
    _sink.answer({})
    _sink.clear()
    return _sink


@pytest.fixture(scope="session")
def platform_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder of the session's platform."""
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="session")
def platform(platform_folder: Path) -> Iterator[Platform]:
    """The whole platform on free ports, nothing published or imported yet."""
    running = Platform(platform_folder, external=False)
    running.start()
    yield running
    running.stop()
