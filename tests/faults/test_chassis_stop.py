"""Starting and stopping a service process: what is in hand is finished, and what cannot start says why."""

from __future__ import annotations

import time

from tests.faults.conftest import Probe


def test_a_handler_that_runs_at_sigterm_is_waited_for_and_not_run_again(probe: Probe) -> None:
    """Trap 2: nameko closes the consumer's connection under a running handler, whose message is then delivered again."""
    process = probe.start()
    probe.order("slow", do="hold")
    probe.until(lambda: probe.times("held", "slow") == 1, "the handler holds")
    process.terminate()
    probe.until(lambda: bool(process.logs("stopping")), "the stop began")
    heir = probe.start()
    assert process.child.running
    probe.release()
    assert process.until_ended() == 0
    probe.until_applied(["slow"])
    assert probe.times("held", "slow") == 1
    assert heir.metric("mingchuang_events_handled_total", queue="inspection.campaigns") == 0


def test_an_idle_process_stops_within_five_seconds(probe: Probe) -> None:
    process = probe.start()
    began = time.monotonic()
    process.terminate()
    assert process.until_ended() == 0
    assert time.monotonic() - began < 5
