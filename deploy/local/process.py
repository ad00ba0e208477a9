"""Child processes that never outlive whoever started them.

Three nets, one below the other: an orderly `stop()`; on Linux a signal from the kernel when the parent dies,
however it dies; and a record on disk, by which the next start finds and ends what a lost machine or another
system left.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
POLL = 0.02

if sys.platform == "linux":
    # Loaded before any fork: between fork and exec nothing may be imported or allocated that takes a lock.
    _prctl: Callable[..., int] | None = ctypes.CDLL(None, use_errno=True).prctl
else:
    _prctl = None


# The kernel ends a child with the *thread* that started it. One thread starts them all and lives as long as
# the interpreter, so that a child may be started from any thread.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter of processes")


class LocalError(RuntimeError):
    """Something local could not be started or stopped; the text is one sentence for the person who ran it."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str, interval: float = POLL) -> None:
    """Return as soon as `condition()` is true; raise `LocalError` naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LocalError(f"{what}: not within {seconds:g} s")
        time.sleep(interval)


def port_is_free(port: int) -> bool:
    """True when nothing listens on the loopback port and it can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """True when a connection to the loopback port is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports that are free now, outside the range the kernel hands out by
    itself."""
    found: list[int] = []
    start = 20000 + (os.getpid() * 131 + time.monotonic_ns() // 1000) % 11000
    for offset in range(12000):
        port = 20000 + (start - 20000 + offset) % 12000
        if port_is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise LocalError(f"fewer than {count} free ports between 20000 and 32000")


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` by `text` in one step, with permissions `mode` from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)


class Child:
    """One process started from `command`, its output appended to `log`, its identity recorded in `record`.

    It leads a session of its own, so that Ctrl-C in a terminal reaches only the parent, which stops its
    children in the right order. On Linux the kernel sends it `orphaned` when the parent dies.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        record: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        orphaned: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.record = record
        self.environment = environment
        self.folder = folder
        self.orphaned = orphaned
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running child; raises `LocalError` when it was never started."""
        if self._process is None:
            raise LocalError(f"{self.name} has not been started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last run (negative: the signal), None while it runs or before the first start."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process; an earlier one left behind by a lost parent is ended first."""
        if self.running:
            raise LocalError(f"{self.name} already runs with pid {self.pid}")
        end_recorded(self.record)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        parent, orphaned = os.getpid(), int(self.orphaned)

        def die_with_parent() -> None:
            if _prctl is not None:
                _prctl(PR_SET_PDEATHSIG, orphaned, 0, 0, 0)
                if os.getppid() != parent:
                    os._exit(1)

        with self.log.open("ab") as output:
            self._process = _starter.submit(
                lambda: subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if self.environment is None else dict(self.environment),
                    cwd=self.folder,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            ).result()
        identity = {"pid": self.pid, "started": _start_time(self.pid), "name": self.name}
        write_atomically(self.record, json.dumps(identity))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running process; nothing happens when it has ended."""
        if self.running and self._process is not None:
            self._process.send_signal(number)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): its connections stay open and nothing answers on them."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self.signal(signal.SIGCONT)

    def stop(self, seconds: float) -> bool:
        """SIGTERM, then SIGKILL after `seconds`. True when it ended by itself."""
        process = self._process
        if process is None:
            return True
        orderly = True
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                orderly = False
                self.kill()
        self.record.unlink(missing_ok=True)
        return orderly

    def kill(self) -> None:
        """SIGKILL the process and whatever it started in its own session."""
        process = self._process
        if process is not None and process.poll() is None:
            _kill_group(process.pid)
            process.wait(10)

    def last_words(self, lines: int = 12) -> str:
        """The end of its log, for an error message."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - 8192))
            return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-lines:])


def _start_time(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def end_recorded(record: Path, seconds: float = 12.0) -> bool:
    """End the process a record file names, if it still is that very process (same pid and same start time).

    Waits while it ends by itself after SIGTERM, then SIGKILL. True when there was one. A pid that another
    program has got meanwhile is left alone.
    """
    try:
        identity = json.loads(record.read_text(encoding="utf-8"))
        pid, started = int(identity["pid"]), float(identity["started"])
        process = psutil.Process(pid)
        same = bool(abs(process.create_time() - started) < 0.05)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        record.unlink(missing_ok=True)
        return False
    if same:
        try:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(seconds)
        except psutil.TimeoutExpired:
            _kill_group(pid)
            process.wait(5)
        except psutil.NoSuchProcess:
            pass
    record.unlink(missing_ok=True)
    return same
