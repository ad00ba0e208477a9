"""``python -m services.chassis.run services.<name>.service``: one service, one process.

Exits 0 after a graceful stop (SIGTERM, SIGINT), 1 when it could not start or died, with the reason in the log.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

STOP_SECONDS = 25
START_FAILED = 1


def service_class(module: ModuleType) -> Any:
    """The one subclass of Service that the module defines."""
    from services.chassis.service import Service

    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Service) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise SystemExit(f"{module.__name__} must define exactly one Service, found {len(found)}")
    return found[0]


def main(module_name: str) -> int:
    import gc
    import importlib
    import os
    import signal

    import eventlet
    from nameko.containers import ServiceContainer
    from pymongo.errors import PyMongoError

    from services.chassis import log as logs
    from services.chassis.settings import SettingsError, settings

    try:
        config = settings()
    except SettingsError as error:
        print(f"设置有误 / settings: {error}", file=sys.stderr)
        return START_FAILED
    logs.configure(config.service_name, config.log_level)
    cls = service_class(importlib.import_module(module_name))
    container = ServiceContainer(
        cls,
        {
            "WEB_SERVER_ADDRESS": config.pages_address or "127.0.0.1:0",
            "max_workers": 200,
            "AMQP_URI": config.amqp_uri,
        },
    )

    def stop(*_: Any) -> None:
        logs.log("stopping")
        eventlet.spawn(container.stop)
        # a stop that hangs must still end; what was not acked is delivered again
        eventlet.spawn_after(STOP_SECONDS, os._exit, START_FAILED)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        with eventlet.Timeout(
            config.start_deadline, TimeoutError(f"not started within {config.start_deadline} s")
        ):
            container.start()
    except (TimeoutError, PyMongoError, OSError) as error:
        logs.log(
            "start_failed", level="error", error=repr(error), do="check MONGODB_URI, AMQP_URI and the ports"
        )
        os._exit(START_FAILED)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    logs.log("started", instance=config.instance, ops=config.ops_address, pages=config.pages_address)
    container.wait()
    logs.log("stopped")
    return 0


if __name__ == "__main__":
    import eventlet

    eventlet.monkey_patch()
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m services.chassis.run services.<name>.service")
    sys.exit(main(sys.argv[1]))
