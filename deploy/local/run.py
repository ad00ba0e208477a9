"""`make run`: a platform on this machine, a campaign on it, a city's visits and ratings through it.

Settings, from the environment: DATA (folder, default `.local`), PORT_BASE (first of the ports), VISITS (how
many visits to replay), ONCE=1 (replay, wait until all is processed, check, print one JSON object as the last
line, stop).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from deploy.local.platform import Platform
from deploy.local.process import LocalError, write_atomically
from services.contracts.errors import DomainError

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """Ctrl-C or SIGTERM: stop in an orderly way."""


def say(text: str) -> None:
    print(text, flush=True)


def wrong(result: dict[str, Any]) -> list[str]:
    """What speaks against the result of a replay, one phrase each; empty when all is well."""
    found = []
    for name in ("visits", "ratings", "events", "mails"):
        if not result.get(name):
            found.append(f"{name} is {result.get(name)!r}, more than 0 expected")
    for name, expected in (("dead_letters", 0), ("verify", "equal"), ("report", "current")):
        if result.get(name) != expected:
            found.append(f"{name} is {result.get(name)!r}, {expected!r} expected")
    return found


def replay(platform: Platform, *, visits: int | None, once: bool) -> dict[str, Any]:
    """Replay the city; outside ONCE a folder that has seen this whole replay is left as it is."""
    from rehearsal.replay import replay as replay_city

    done = platform.folder / "replayed.json"
    asked = {"visits": visits}
    if not once and done.exists():
        kept: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if kept.get("asked") == asked:
            say("  the city is there already, its visits and ratings too")
            return dict(kept["result"])
    result: dict[str, Any] = replay_city(
        platform.file, visits=visits, progress=True, settle=once
    )
    write_atomically(done, json.dumps({"asked": asked, "result": result}))
    return result


def addresses(platform: Platform) -> str:
    """The addresses a newcomer wants, as lines of text."""
    metrics = "\n             ".join(f"{platform.ops_url(service)}/metrics" for service in platform.services)
    return (
        f"\n  page       {platform.pages_url}/\n"
        f"  mails      {platform.folder / 'mails' / 'new'}\n"
        f"  metrics    {metrics}\n"
        f"  accounts   {platform.accounts_file}\n"
        f"  logs       {platform.folder / 'logs'}\n"
    )


def run(once: bool, visits: int | None) -> int:
    started = time.monotonic()
    say("Starting the platform")
    platform = Platform(say=say)
    platform.start()
    try:
        say(f"  services: ready ({time.monotonic() - started:.0f} s since the start)")
        say("Replaying a city")
        result = replay(platform, visits=visits, once=once)
        if once:
            found = wrong(result)
            for phrase in found:
                say(f"wrong: {phrase}")
        else:
            say(addresses(platform) + "\nCtrl-C stops everything.")
            threading.Event().wait()
    finally:
        for one in STOPPING_SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        say("\nStopping")
        platform.stop()
    say(json.dumps(result))
    return 1 if found else 0


def main() -> int:
    once = os.environ.get("ONCE", "") not in ("", "0")
    asked = os.environ.get("VISITS", "")
    if asked and not asked.isdigit():
        say(f"VISITS is {asked!r}: a number is needed")
        return 1

    def end(number: int, frame: object) -> None:
        # A second Ctrl-C must not cut short the stopping that the first one began.
        for one in STOPPING_SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise Ended

    for one in STOPPING_SIGNALS:
        signal.signal(one, end)
    try:
        return run(once, int(asked) if asked else None)
    except Ended:
        return 1 if once else 0
    except (LocalError, DomainError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
