"""Which rows of the requirements the tests have shown: kept in build/rows.json, counted in the last line."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROWS = 48
FILE = Path(__file__).resolve().parents[1] / "build" / "rows.json"
outcomes = pytest.StashKey[dict[int, list[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[outcomes] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("row"):
            if not (marker.args and all(isinstance(row, int) and 1 <= row <= ROWS for row in marker.args)):
                raise pytest.UsageError(f"{item.nodeid}: row{marker.args} must name rows from 1 to {ROWS}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    rows = {row for marker in item.iter_markers("row") for row in marker.args}
    for row in rows if report.when == "call" or report.outcome != "passed" else ():
        item.config.stash[outcomes].setdefault(row, []).append(report.outcome)
    return report


def verdicts(seen: dict[int, list[str]]) -> dict[str, str]:
    """{"16": "passed"}: failed if any of the row's tests failed, absent if none of them ran to its end."""
    found = {}
    for row, results in sorted(seen.items()):
        if "failed" in results:
            found[str(row)] = "failed"
        elif "passed" in results and "skipped" not in results:
            found[str(row)] = "passed"
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(verdicts(session.config.stash[outcomes]), indent=2) + "\n", encoding="utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.collectonly or outcomes not in config.stash:
        return
    found = verdicts(config.stash[outcomes])
    shown = [row for row, outcome in found.items() if outcome == "passed"]
    failed = [row for row, outcome in found.items() if outcome == "failed"]
    if failed:
        reporter.write_line(f"rows failed: {', '.join(failed)}", red=True)
    reporter.write_line(f"rows shown: {len(shown)} of {ROWS}" + (f" ({', '.join(shown)})" if shown else ""))
