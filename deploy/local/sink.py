"""A real SMTP server on loopback that keeps what it gets, and refuses or dawdles where it is told to.

    python -m deploy.local.sink --folder mails --port 2525

A message that was taken is `<folder>/new/<time>-<number>.eml`, whole from the moment it appears; its envelope
stands in the headers `X-Envelope-From` and `X-Envelope-To`. How it answers stands in `<folder>/control.json`,
read anew at each command: {"recipients": {"a@example.org": 550, "*@slow.example.org": 451}, "slow_seconds":
0}.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import fnmatch
import itertools
import json
import os
import signal
import sys
import time
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local.process import (
    Child,
    LocalError,
    end_recorded,
    free_ports,
    port_answers,
    port_is_free,
    wait_until,
    write_atomically,
)

MAX_BYTES = 30_000_000
ANSWERS = {250: "250 OK", 451: "451 4.3.0 Try again later", 550: "550 5.1.1 No such recipient here"}


class MailSink:
    """The sink as a process of its own, as a test or the local platform sees it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.port = port if port is not None else free_ports(1)[0]
        self._process = Child(
            "mail sink",
            [
                sys.executable,
                "-m",
                "deploy.local.sink",
                "--folder",
                str(self.folder),
                "--port",
                str(self.port),
            ],
            log=self.folder / "sink.log",
            record=self.folder / "sink.pid.json",
            folder=Path(__file__).resolve().parents[2],
        )

    @property
    def uri(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Start and return once it accepts connections."""
        end_recorded(self._process.record)
        if not port_is_free(self.port):
            raise LocalError(f"the mail sink's port {self.port} is taken by another program")
        self._process.start()
        wait_until(lambda: not self.running or port_answers(self.port), 20, "the mail sink answers")
        if not self.running:
            raise LocalError(f"the mail sink ended at start:\n{self._process.last_words()}")

    def stop(self) -> None:
        self._process.stop(3)

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def answer(self, recipients: dict[str, int], *, slow_seconds: float = 0) -> None:
        """From now on answer RCPT for these addresses or patterns with 250, 451 or 550, and DATA after
        `slow_seconds`.

        Replaces what was said before; `answer({})` takes every message at once again.
        """
        wrong = {code for code in recipients.values() if code not in ANSWERS}
        if wrong:
            raise LocalError(f"the mail sink answers with 250, 451 or 550, not with {sorted(wrong)}")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            self.folder / "control.json", json.dumps({"recipients": recipients, "slow_seconds": slow_seconds})
        )

    def files(self) -> list[Path]:
        """The messages taken so far, oldest first."""
        return sorted((self.folder / "new").glob("*.eml"))

    def messages(self, recipient: str | None = None) -> list[EmailMessage]:
        """The parsed messages, oldest first; those of one envelope recipient when it is named."""
        found: list[EmailMessage] = []
        for path in self.files():
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            if recipient is None or recipient in str(message["X-Envelope-To"]).split(", "):
                found.append(message)
        return found

    def clear(self) -> None:
        """Forget the messages taken so far."""
        for path in self.files():
            path.unlink()


class _Keeper:
    """aiosmtpd's handler: asks the control file, keeps the message."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count(1)
        for name in ("new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def control(self) -> dict[str, Any]:
        try:
            control = json.loads((self.folder / "control.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return control if isinstance(control, dict) else {}

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self,
        server: Any,
        session: Any,
        envelope: Any,
        address: str,
        options: list[str],
    ) -> str:
        code = 250
        for pattern, scripted in self.control().get("recipients", {}).items():
            if fnmatch.fnmatchcase(address.lower(), pattern.lower()):
                code = int(scripted)
                break
        if code == 250:
            envelope.rcpt_tos.append(address)
        return ANSWERS[code]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name for it
        await asyncio.sleep(float(self.control().get("slow_seconds", 0)))
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self.numbers):06d}.eml"
        head = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        temporary = self.folder / "tmp" / name
        temporary.write_bytes(head.encode() + envelope.original_content)
        os.replace(temporary, self.folder / "new" / name)
        return f"250 OK kept as {name}"


async def _serve(folder: Path, port: int) -> None:
    from aiosmtpd.smtp import SMTP

    keeper = _Keeper(folder)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(
        partial(
            SMTP, keeper, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=MAX_BYTES, loop=loop
        ),
        "127.0.0.1",
        port,
    )
    print(f"keeping mails of smtp://127.0.0.1:{port} in {folder / 'new'}", flush=True)
    await ended.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="an SMTP server that keeps what it gets")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.folder.resolve(), arguments.port))


if __name__ == "__main__":
    main()
