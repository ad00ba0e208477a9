"""Settings of one service process, all from the environment."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from functools import lru_cache


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and says what to set."""


@dataclass(frozen=True)
class Settings:
    """``retry_delays``: seconds before each further try of a failed event; after the last it becomes a dead letter."""

    service_name: str
    amqp_uri: str
    mongodb_uri: str
    mongodb_database: str
    ops_address: str
    pages_address: str
    smtp_uri: str
    mail_from: str
    public_url: str
    clock: str
    log_level: str
    start_deadline: float
    publish_timeout: float
    retry_delays: tuple[float, ...]
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)


DEFAULT_RETRY_DELAYS = (1.0, 5.0, 30.0, 120.0, 300.0, 600.0)


def retry_delays(text: str | None) -> tuple[float, ...]:
    """``"1,5,30"`` as seconds; absent: seconds to minutes."""
    if not text:
        return DEFAULT_RETRY_DELAYS
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"RETRY_DELAYS must be seconds separated by commas, got {text!r}") from error


def read(environ: dict[str, str]) -> Settings:
    """Settings from an environment. Raises SettingsError naming what is missing."""
    missing = [key for key in ("SERVICE_NAME", "AMQP_URI", "MONGODB_URI") if not environ.get(key)]
    if missing:
        raise SettingsError(f"set {', '.join(missing)} (see deploy/local/platform.py for a working example)")
    clock = environ.get("CLOCK", "wall")
    if clock not in ("wall", "driven"):
        raise SettingsError(f"CLOCK must be wall or driven, got {clock!r}")
    name = environ["SERVICE_NAME"]
    return Settings(
        service_name=name,
        amqp_uri=environ["AMQP_URI"],
        mongodb_uri=environ["MONGODB_URI"],
        mongodb_database=environ.get("MONGODB_DATABASE", f"mingchuang_{name}"),
        ops_address=environ.get("OPS_ADDRESS", "127.0.0.1:0"),
        pages_address=environ.get("PAGES_ADDRESS", ""),
        smtp_uri=environ.get("SMTP_URI", ""),
        mail_from=environ.get("MAIL_FROM", "mingchuang@example.invalid"),
        public_url=environ.get("PUBLIC_URL", ""),
        clock=clock,
        log_level=environ.get("LOG_LEVEL", "INFO"),
        start_deadline=float(environ.get("START_DEADLINE", "60")),
        publish_timeout=float(environ.get("PUBLISH_TIMEOUT", "10")),
        retry_delays=retry_delays(environ.get("RETRY_DELAYS")),
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings, read once."""
    return read(dict(os.environ))
