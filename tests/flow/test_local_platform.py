"""The platform of `make run`: services come back when they die, and nobody gets in its way."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from deploy.local.platform import Platform
from deploy.local.process import LocalError


def test_a_service_killed_with_9_is_started_again_as_another_process(platform: Platform) -> None:
    before = platform.restarts("scoring")
    killed = platform.kill("scoring")
    platform.wait_ready(["scoring"])
    assert platform.child("scoring").pid != killed
    assert platform.restarts("scoring") == before + 1


def test_a_second_platform_in_a_folder_is_refused_and_leaves_the_first_alone(platform: Platform) -> None:
    with pytest.raises(LocalError, match="already runs"):
        Platform(platform.folder, external=False).start()
    assert platform.file.exists()
    assert all(platform.ready(service) for service in platform.services)


def test_the_description_names_every_address_and_no_password(platform: Platform) -> None:
    text = platform.file.read_text(encoding="utf-8")
    description = json.loads(text)
    assert description["amqp"]["port"] == platform.ports["amqp"]
    assert description["pages"] == platform.pages_url
    assert set(description["services"]) == set(platform.services)
    secrets = [secret for accounts in platform.accounts.values() for secret in accounts.values()]
    assert secrets
    assert not any(secret in text for secret in secrets)
    assert os.stat(platform.accounts_file).st_mode & 0o077 == 0


def test_every_process_of_the_platform_listens_on_loopback_only(platform: Platform) -> None:
    children = psutil.Process().children(recursive=True)
    listening = {
        connection.laddr.ip
        for child in children
        for connection in child.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
