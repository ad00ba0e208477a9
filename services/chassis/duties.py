"""Timed duties: a method called every so often, by one replica at a time (a lease in the database) or by each."""

from __future__ import annotations

import time
from typing import Any

import eventlet
from eventlet.event import Event as Signal
from nameko.extensions import Entrypoint
from pymongo.errors import PyMongoError

from services.chassis import mongo as mongo_module
from services.chassis import trace
from services.chassis.log import log
from services.chassis.metrics import DUTY_SECONDS, LEASES_HELD

LEASE_SECONDS = 10.0


class Duty(Entrypoint):
    """Intervals are real time, from the end of one call to the start of the next; a failure is logged and counted."""

    def __init__(self, every: float, lease: bool = True, **kwargs: Any) -> None:
        self.every = every
        self.lease = lease
        super().__init__(**kwargs)

    def setup(self) -> None:
        self.mongo = mongo_module.shared()
        self.name = f"{self.container.service_name}.{self.method_name}"
        self.stopping = Signal()

    def start(self) -> None:
        self.thread = self.container.spawn_managed_thread(self._run)

    def stop(self) -> None:
        if not self.stopping.ready():
            self.stopping.send()
        self.thread.wait()

    def _run(self) -> None:
        while not self.stopping.ready():
            if self._mine():
                self._once()
            with eventlet.Timeout(self.every, False):
                self.stopping.wait()
        if self.lease:
            try:
                self.mongo.release(self.name)
            except PyMongoError as error:
                log("lease_not_released", level="warning", duty=self.name, error=repr(error))

    def _mine(self) -> bool:
        if not self.lease:
            return True
        try:
            held = self.mongo.lease(self.name, LEASE_SECONDS + self.every)
        except PyMongoError as error:
            log("lease_failed", level="warning", duty=self.name, error=repr(error))
            held = False
        LEASES_HELD.labels(self.name).set(held)
        return held

    def _once(self) -> None:
        started, done = time.monotonic(), Signal()
        context = {"traceparent": trace.enter(trace.new_trace()), "caller": "clock"}

        def finished(worker_ctx: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
            done.send(exc_info[1] if exc_info else None)
            return result, exc_info

        self.container.spawn_worker(self, (), {}, context_data=context, handle_result=finished)
        error = done.wait()
        if error is not None:
            log(
                "duty_failed",
                level="error",
                duty=self.name,
                error=repr(error),
                exc_info=(type(error), error, error.__traceback__),
            )
        DUTY_SECONDS.labels(self.name, "failed" if error else "done").observe(time.monotonic() - started)


def duty(every: float, lease: bool = True) -> Any:
    """Call the method every ``every`` seconds; with ``lease`` only the replica that holds it does."""
    return Duty.decorator(every, lease=lease)
