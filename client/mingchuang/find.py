"""Finds the platform to talk to: one named by a setting, else the local one of the checkout."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.contracts.errors import InvalidPayload, NotReady

FILE = Path(".local") / "platform.json"


@dataclass(frozen=True)
class LocalPlatform:
    """A running platform of this machine, as its ``platform.json`` describes it."""

    file: Path
    description: dict[str, Any]

    @property
    def accounts(self) -> dict[str, str]:
        """Password by account of the broker. Raises NotReady where they may not be read."""
        path = Path(self.description["accounts"])
        try:
            accounts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["amqp"]
        except (OSError, ValueError, KeyError) as error:
            raise NotReady(
                f"读不到账号文件 {path} / the accounts of the platform cannot be read: {error}"
            ) from error
        return accounts

    def amqp_uri(self, account: str) -> str:
        """The broker's address with an account. Raises InvalidPayload for one it does not have."""
        accounts = self.accounts
        if account not in accounts:
            raise InvalidPayload(
                f"没有账号 {account}；可用的有 {'、'.join(sorted(accounts))} / no such account",
                {"account": [f"unknown: {account}"]},
            )
        place = self.description["amqp"]
        secret = quote(accounts[account], safe="")
        vhost = quote(place["vhost"], safe="")
        return f"amqp://{quote(account, safe='')}:{secret}@{place['host']}:{place['port']}/{vhost}"


def read_platform(file: Path) -> LocalPlatform:
    """The platform of a ``platform.json``. Raises NotReady naming the file that cannot be used."""
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        address = description["amqp"]
        if not {"host", "port", "vhost"} <= set(address) or "accounts" not in description:
            raise KeyError("amqp, accounts")
    except FileNotFoundError as error:
        raise NotReady(f"没有平台文件 {file}，平台未启动 / the platform does not run: no such file"
                       ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotReady(f"平台文件 {file} 不能用 / the platform file cannot be used: {error}") from error
    return LocalPlatform(file, description)


def find_platform(start: Path | None = None) -> LocalPlatform | None:
    """The platform named by MINGCHUANG_PLATFORM or DATA, else one in ``.local`` here or above."""
    named = os.environ.get("MINGCHUANG_PLATFORM")
    if named:
        path = Path(named)
        return read_platform(path / "platform.json" if path.is_dir() else path)
    data = os.environ.get("DATA")
    if data and (Path(data) / "platform.json").is_file():
        return read_platform(Path(data) / "platform.json")
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return read_platform(folder / FILE)
    return None


def find_amqp_uri(account: str = "office", start: Path | None = None) -> str:
    """Where and as whom to call: MINGCHUANG_PLATFORM, then AMQP_URI, then a local platform.

    AMQP_URI carries its own account. Raises NotReady when there is nothing to talk to.
    """
    given = os.environ.get("AMQP_URI")
    if given and not os.environ.get("MINGCHUANG_PLATFORM"):
        return given
    platform = find_platform(start)
    if platform is None:
        raise NotReady(
            f"没有找到平台：从 {start or Path.cwd()} 往上没有 {FILE}；请先 make run，"
            "或用 MINGCHUANG_PLATFORM 指明 platform.json，或用 AMQP_URI 指明消息代理"
            " / no platform found: say make run, or set MINGCHUANG_PLATFORM or AMQP_URI"
        )
    return platform.amqp_uri(account)
