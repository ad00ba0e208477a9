"""The alerts speak of metrics that exist, each is tested, and promtool agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))["groups"][0]["rules"]
DECLARATION = re.compile(
    r"""\b(counter|gauge|histogram)\(\s*"(mingchuang_\w+)",\s*(?:"[^"]*"\s*)+,?\s*(\[[^\]]*\])?"""
)
SELECTED = re.compile(r"(mingchuang_\w+?)(?:_bucket|_count|_sum)?\{([^}]*)\}")


def declared() -> dict[str, tuple[str, set[str]]]:
    """Name → kind and labels of every metric that the chassis and the services declare."""
    found = {}
    for path in [ROOT / "services/chassis/metrics.py", *ROOT.glob("services/*/metrics.py")]:
        for kind, name, labels in DECLARATION.findall(path.read_text("utf-8")):
            found[name] = (kind, set(re.findall(r'"(\w+)"', labels)))
    return found


def test_every_metric_of_a_rule_is_declared() -> None:
    known = declared()
    series = set(known)
    for name, (kind, _) in known.items():
        if kind == "histogram":
            series |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    for rule in RULES:
        unknown = set(re.findall(r"mingchuang_\w+", rule["expr"])) - series
        assert unknown == set(), rule["alert"]


def test_every_label_a_rule_selects_by_is_one_of_the_metric() -> None:
    known = declared()
    for rule in RULES:
        for name, selector in SELECTED.findall(rule["expr"]):
            assert set(re.findall(r"(\w+)=", selector)) <= known[name][1], rule["alert"]


def test_every_alert_says_what_to_do_and_has_a_test_that_raises_it() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yaml").read_text("utf-8"))["tests"]
    raised = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    for rule in RULES:
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["action"], rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
    assert raised == {rule["alert"] for rule in RULES}


def test_promtool_accepts_the_rules_and_their_tests_pass() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for arguments in (
        ["check", "config", "prometheus.yaml"],
        ["test", "rules", "rules_test.yaml"],
    ):
        run = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
