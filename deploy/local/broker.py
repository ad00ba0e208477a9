"""A private RabbitMQ node: own name, ports, cookie and data; loopback only; ended with its parent."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

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

# The wrappers in /usr/sbin switch to the system's own user and redirect its logs: these are what they call.
_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin")
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
ADMINISTRATOR = "administrator"
START_SECONDS = 60.0
STOP_SECONDS = 14.0


def rabbitmq_program(name: str) -> Path | None:
    """Path of RabbitMQ's `name` (`rabbitmq-server`, `rabbitmqctl`) or None where RabbitMQ is not installed.

    The setting RABBITMQ_BIN names another folder.
    """
    for folder in (os.environ.get("RABBITMQ_BIN", ""), *_FOLDERS):
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
    return None


def administrator_only(password: str) -> dict[str, Any]:
    """Definitions of a broker with one vhost and one account that may do everything."""
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": ADMINISTRATOR, "password": password, "tags": "administrator"}],
        "permissions": [
            {"user": ADMINISTRATOR, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
        ],
    }


class Broker:
    """RabbitMQ on 127.0.0.1:`port`, everything of it inside `folder`.

    `definitions` (RabbitMQ's definitions document) is loaded at each start; without one there is the single
    account `administrator`. `ports` are (epmd, distribution, metrics); free ones are taken when absent.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        definitions: dict[str, Any] | None = None,
        *,
        ports: tuple[int, int, int] | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        if port is None:
            port = free_ports(1)[0]
        self.port = port
        self._epmd_port, self._dist_port, self.metrics_port = ports or _three(free_ports(4), port)
        self.definitions = definitions
        self.node = "mingchuang@localhost"
        self.log = self.folder / "broker.log"
        self._epmd = Child(
            "epmd",
            self._epmd_command(),
            log=self.folder / "epmd.log",
            record=self.folder / "epmd.pid.json",
            environment=self._environment(),
        )
        program = rabbitmq_program("rabbitmq-server")
        self._server = Child(
            "broker",
            [str(program)],
            log=self.log,
            record=self.folder / "broker.pid.json",
            environment=self._environment(),
            folder=None,
        )

    def _epmd_command(self) -> list[str]:
        return [shutil.which("epmd") or "epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]

    def _environment(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        return {
            "LANG": "C.UTF-8",
            **keep,
            "HOME": str(self.folder / "home"),
            # Makes the script become the Erlang VM instead of waiting for it as a shell: signals then reach
            # the node.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK_ONLY} +sbwt none +sbwtdcpu none +sbwtdio none",
            "RABBITMQ_CTL_ERL_ARGS": f"{LOOPBACK_ONLY} +sbwt none",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": "/dev/null",
        }

    @property
    def administrator_password(self) -> str:
        """Password of the account `administrator`, made on first use and kept in the folder."""
        path = self.folder / "administrator"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, secrets.token_urlsafe(18), 0o600)
        return path.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server.running

    def uri(self, user: str = ADMINISTRATOR, password: str | None = None) -> str:
        """`amqp://…` for an account; the password is needed for every account but `administrator`."""
        secret = self.administrator_password if password is None else password
        return f"amqp://{quote(user, safe='')}:{quote(secret, safe='')}@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the node and return once it accepts AMQP connections, with its definitions in force."""
        self.begin()
        self.wait_ready()

    def begin(self) -> None:
        """Start the node without waiting; `wait_ready()` does that."""
        if rabbitmq_program("rabbitmq-server") is None:
            raise LocalError(
                "RabbitMQ is not installed: install rabbitmq-server, or set AMQP_URI to a broker to use"
            )
        end_recorded(self._server.record)
        end_recorded(self._epmd.record)
        for port, role in (
            (self.port, "AMQP"),
            (self._epmd_port, "epmd"),
            (self._dist_port, "distribution"),
            (self.metrics_port, "metrics"),
        ):
            if not port_is_free(port):
                raise LocalError(f"the broker's {role} port {port} is taken by another program")
        self._write_settings()
        self._epmd.start()
        # Were epmd not there yet, the node would start one of its own, which nobody stops.
        wait_until(lambda: port_answers(self._epmd_port), 10, "epmd answers")
        self._server.start()

    def wait_ready(self) -> None:
        """Return once the node accepts AMQP connections; raise with the end of its log when it does not."""
        wait_until(self._speaks_amqp_or_failed, START_SECONDS, "the broker accepts connections", 0.05)
        if not self.running:
            words = self._server.last_words()
            self.stop()
            raise LocalError(f"the broker ended at start; the end of {self.log}:\n{words}")

    def _write_settings(self) -> None:
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        cookie = self.folder / "home" / ".erlang.cookie"
        if not cookie.exists():
            write_atomically(cookie, secrets.token_hex(20).upper(), 0o400)
        definitions = self.folder / "definitions.json"
        write_atomically(
            definitions,
            json.dumps(
                administrator_only(self.administrator_password)
                if self.definitions is None
                else self.definitions
            ),
            0o600,
        )
        write_atomically(self.folder / "enabled_plugins", "[rabbitmq_prometheus].\n")
        write_atomically(
            self.folder / "rabbitmq.conf",
            "\n".join(
                [
                    f"listeners.tcp.default = 127.0.0.1:{self.port}",
                    f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.metrics_port}",
                    f"load_definitions = {definitions}",
                    "log.console = true\nlog.console.level = info\nlog.file = false",
                    "disk_free_limit.absolute = 200MB",
                    "",
                ]
            ),
        )

    def _speaks_amqp_or_failed(self) -> bool:
        if not self.running:
            return True
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the node in an orderly way, then its epmd; nothing is left running."""
        self._server.stop(STOP_SECONDS)
        self._epmd.stop(2)

    def kill(self) -> None:
        """SIGKILL, as a power cut would; `start()` brings it back with what it had confirmed.

        Except in the first half second of a quorum queue's life: RabbitMQ 3.10 writes the queue's name down
        that late, and such a queue comes back without its messages and without a leader.
        """
        self._server.kill()
        self._epmd.stop(2)

    def restart(self) -> None:
        """An orderly stop and a start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the node: connections stay open and half dead."""
        self._server.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._server.signal(signal.SIGCONT)

    def ctl(self, *arguments: str, seconds: float = 60) -> str:
        """What `rabbitmqctl <arguments>` prints; `LocalError` with its text when it fails."""
        program = rabbitmq_program("rabbitmqctl")
        # The setting by which the server becomes the VM has no meaning for the tool.
        environment = {k: v for k, v in self._environment().items() if k != "RUNNING_UNDER_SYSTEMD"}
        result = subprocess.run(
            [str(program), "-q", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if result.returncode:
            raise LocalError(f"rabbitmqctl {arguments[0]}: {(result.stderr or result.stdout).strip()}")
        return result.stdout

    def import_definitions(self, definitions: dict[str, Any]) -> None:
        """Add definitions to the running node; they also replace those of the next start."""
        self.definitions = definitions
        path = self.folder / "definitions.json"
        write_atomically(path, json.dumps(definitions), 0o600)
        self.ctl("import_definitions", str(path))

    def queues(self) -> dict[str, int]:
        """Messages per queue: those ready and those handed out but not yet acknowledged."""
        rows = json.loads(self.ctl("list_queues", "name", "messages", "--formatter", "json"))
        return {row["name"]: int(row["messages"]) for row in rows}


def _three(candidates: list[int], taken: int) -> tuple[int, int, int]:
    first, second, third = [port for port in candidates if port != taken][:3]
    return first, second, third
