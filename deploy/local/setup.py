"""Makes a bare machine ready: Python environment, broker, and for tests a browser with Chinese fonts.

    python3 -m deploy.local.setup [--tests]

Uses the standard library only. What is there already is left as it is; a second run takes a moment. Ends with
exit code 1 and one sentence that says what to install or to set when it cannot do something itself.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOG = ROOT / "build" / "setup.log"
STAMP = VENV / "set-up"
PACKAGES = ("services", "client/mingchuang", "rehearsal", "deploy")
WHEEL_MONGOD = "lib/python*/site-packages/fiftyone/db/bin/mongod"

# Installing a server on Debian also starts it. This one answers "no" for ours, only while this process lives,
# so that an interrupted set-up leaves nothing behind that would hold back other services.
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = """#!/bin/sh
# Of an installation that needs rabbitmq-server installed, not started; without effect once that has ended.
kill -0 {pid} 2>/dev/null || exit 0
case "$1" in rabbitmq-server*|epmd*) exit 101;; esac
exit 0
"""


class SetupError(Exception):
    """Cannot go on; the text tells the person what to do."""


def say(text: str) -> None:
    print(text, flush=True)


def step(title: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
    """Run a command, its output in build/setup.log, its title and the seconds it takes on the screen."""
    LOG.parent.mkdir(exist_ok=True)
    started = time.monotonic()
    live = sys.stdout.isatty()
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        if not live:
            say(f"  {title} …")
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        while True:
            try:
                code = process.wait(1)
                break
            except subprocess.TimeoutExpired:
                if live:
                    print(f"\r  {title} … {time.monotonic() - started:.0f} s", end="", flush=True)
            except KeyboardInterrupt:
                process.terminate()
                process.wait()
                raise
    outcome = "done" if code == 0 else "failed"
    say(f"{chr(13) if live else ''}  {title}: {outcome} ({time.monotonic() - started:.0f} s)")
    return code == 0


def log_end(lines: int = 15) -> str:
    return "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def privilege() -> list[str] | None:
    """The words before a command that run it as root: none for root, sudo without a question, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def apt_install(packages: Sequence[str], otherwise: str) -> None:
    """Install Debian packages; raises `SetupError` with `otherwise` where that is not possible."""
    names = " ".join(packages)
    root = privilege()
    if root is None or shutil.which("apt-get") is None:
        raise SetupError(f"{names} missing, and this account may not install it: {otherwise}")
    quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    own_policy = not POLICY.exists()
    if own_policy:
        with tempfile.NamedTemporaryFile("w") as text:
            text.write(POLICY_TEXT.format(pid=os.getpid()))
            text.flush()
            subprocess.run([*root, "install", "-m", "755", text.name, str(POLICY)], check=True)
    try:
        install = [*quiet, "install", "--no-install-recommends", *packages]
        if not step(f"installing {names}", install):
            step("refreshing the list of packages", [*quiet, "update"])
            if not step(f"installing {names}, once more", install):
                raise SetupError(f"apt-get could not install {names}: {otherwise}\n{log_end()}")
    finally:
        if own_policy:
            subprocess.run([*root, "rm", "-f", str(POLICY)], check=False)


def fingerprint() -> str:
    """Changes when the locked dependencies, the package list or the checkout's place change."""
    text = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        text.update((ROOT / name).read_bytes())
    present = [name for name in PACKAGES if (ROOT / name).is_dir()]
    text.update(f"{ROOT} {present} {sys.version_info[:2]}".encode())
    return text.hexdigest()


def environment() -> None:
    """Create .venv with the hash-locked dependencies and this project."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    say("Setting up the Python environment")
    python = VENV / "bin" / "python"
    if not (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    ):
        if not _can_make_environments():
            version = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            name = (
                version
                if shutil.which("apt-cache")
                and subprocess.run(["apt-cache", "show", version], capture_output=True).returncode == 0
                else "python3-venv"
            )
            apt_install([name], f"install {name}, or say make PYTHON=<a Python with venv and ensurepip>")
        if not step("creating .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)]):
            raise SetupError(f"could not create .venv; the end of {LOG}:\n{log_end()}")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    if not step(
        "installing the locked dependencies (about 250 MB)",
        [*pip, "--require-hashes", "-r", "requirements.lock"],
    ):
        raise SetupError(f"could not install the dependencies; the end of {LOG}:\n{log_end()}")
    if not step("installing this project", [*pip, "--no-deps", "--no-build-isolation", "-e", "."]):
        raise SetupError(f"could not install this project; the end of {LOG}:\n{log_end()}")
    STAMP.write_text(wanted)


def _can_make_environments() -> bool:
    probe = [sys.executable, "-c", "import venv; from ensurepip import version"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def broker() -> None:
    """RabbitMQ, unless one is given by AMQP_URI."""
    from_setting = os.environ.get("RABBITMQ_BIN")
    if os.environ.get("AMQP_URI") or from_setting or Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        return
    if sys.platform != "linux":
        if shutil.which("rabbitmq-server"):
            return
        raise SetupError("rabbitmq-server is missing: install RabbitMQ, or set AMQP_URI to a broker to use")
    say("Setting up the broker")
    apt_install(["rabbitmq-server"], "install rabbitmq-server, or set AMQP_URI to a broker to use")


def database() -> None:
    """What the wheel's mongod links to, unless a mongod is installed or one is given by MONGODB_URI."""
    if os.environ.get("MONGODB_URI") or os.environ.get("MONGOD") or shutil.which("mongod"):
        return
    program = next(VENV.glob(WHEEL_MONGOD), None)
    if program is None:
        raise SetupError(
            "there is no mongod for this machine: install MongoDB 6 to 8 and name its mongod in MONGOD, or "
            "set MONGODB_URI to a database to use"
        )
    if subprocess.run([program, "--version"], capture_output=True).returncode == 0:
        return
    say("Setting up the database")
    packages = ["libcurl4", "libssl3"]
    apt_install(packages, "install libcurl4 and libssl3, or set MONGODB_URI to a database to use")


def browser() -> None:
    """Chromium and Chinese fonts for the tests of the pages; without them only those tests cannot run."""
    missing = []
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        missing.append("chromium")
    if (
        shutil.which("fc-list") is None
        or not subprocess.run(["fc-list", ":lang=zh"], capture_output=True).stdout.strip()
    ):
        missing.append("fonts-noto-cjk")
    if not missing:
        return
    say("Setting up the browser for the tests of the pages")
    try:
        apt_install(
            [*missing, *([] if shutil.which("fc-list") else ["fontconfig"])],
            "without it the tests in tests/browser cannot run",
        )
    except SetupError as error:
        say(f"  {error}")


def main() -> int:
    parser = argparse.ArgumentParser(description="make this machine ready to run the platform")
    parser.add_argument("--tests", action="store_true", help="also what only tests need")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - it may be run by any Python that is about
        say("Python 3.11 or newer is needed: say make PYTHON=<its path>")
        return 1
    try:
        environment()
        broker()
        database()
        if arguments.tests:
            browser()
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
