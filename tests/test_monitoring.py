"""deploy/monitoring/ and OPERATIONS.md speak of the metrics that there are, and of no others."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from channel_layer.admin.metrics import ALERTED, BOTH, METRICS, Kind

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "OPERATIONS.md").read_text("utf-8")
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "monitoring" / "dashboard.json"
#: A name of a metric in an expression: every other word there is a function, a label or a keyword.
NAME = re.compile(r"\b(?:towpath|process|python)_\w+")
#: What selects counters in an expression.
SELECTED = re.compile(r'kind="(\w+)",reason(=~?)"([\w|]+)"')
COUNTER = re.compile(r"^\| `([a-z]+\.[a-z_<>]+)` \| (I|W|both) \|", re.MULTILINE)


@cache
def series() -> frozenset[str]:
    """The names that an expression may use."""
    found = {family.name for family in REGISTRY.collect()} | {f"{family.name}_total" for family in REGISTRY.collect()}
    for metric in METRICS:
        suffixes = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
        found.update(metric.name + suffix for suffix in suffixes)
    return frozenset(found)


@cache
def alerts() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
    ]
    return rules


@cache
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return found


def expressions() -> dict[str, str]:
    """Every expression of both files, by the alert or panel that has it."""
    shown = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels() for target in panel["targets"]}
    return {**{rule["alert"]: rule["expr"] for rule in alerts()}, **shown}


@pytest.mark.parametrize("title", expressions())
def test_each_metric_of_an_alert_or_a_panel_exists(title: str) -> None:
    """One that is misspelled never rings, and its panel is empty."""
    named = set(NAME.findall(expressions()[title]))
    assert named
    assert not named - series()


def test_the_label_of_each_series_that_is_selected_or_grouped_by_exists() -> None:
    """Those of our metrics, those that Prometheus adds, and those of buckets."""
    known = {"job", "instance", "le", *(label for metric in METRICS for label in metric.labels)}
    for title, expression in expressions().items():
        selected = {
            label for selector in re.findall(r"\{(.*?)\}", expression) for label in re.findall(r"(\w+)[=!]", selector)
        }
        grouped = {
            label.strip() for labels in re.findall(r"\b(?:by|on) \((.*?)\)", expression) for label in labels.split(",")
        }
        assert not (selected | grouped) - known, title


def test_the_counters_of_alerts_are_those_that_begin_at_0() -> None:
    """A rise from nothing is no rise for Prometheus."""
    named = {
        f"{kind}.{reason}"
        for rule in alerts()
        for kind, _, reasons in SELECTED.findall(rule["expr"])
        for reason in reasons.split("|")
    }
    assert named == set(ALERTED)


def test_each_counter_of_an_alert_is_counted_by_the_processes_that_export_it() -> None:
    """The list of OPERATIONS.md is compared with the code elsewhere."""
    listed = dict(COUNTER.findall(OPERATIONS))
    assert {name: listed.get(name) for name in ALERTED} == ALERTED
    assert BOTH in listed.values()


def test_each_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    """The operator is woken by the first, and reads the second."""
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


def test_each_role_has_an_alert_for_its_absence() -> None:
    """All other rules are silent about a process that exports nothing."""
    absent = {match[1] for rule in alerts() if (match := re.fullmatch(r'absent\(\w+\{role="(\w+)"\}\)', rule["expr"]))}
    assert absent == {"interface", "worker"}


def test_panels_stand_beside_one_another() -> None:
    """Grafana would push those that overlap around."""
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())


def test_every_metric_is_listed_and_no_other() -> None:
    """With its type, its processes and its meaning, in the order of the table of metrics."""
    listed = re.findall(
        r"^\| `(towpath_\w+)(?:\{([\w, ]+)\})?` \| (\w+) \| (I|W|both) \| (.+) \|$", OPERATIONS, re.MULTILINE
    )
    assert listed == [
        (metric.name, ", ".join(metric.labels), metric.kind.value, metric.by, metric.meaning) for metric in METRICS
    ]


def test_names_have_the_suffix_of_their_type_and_unit() -> None:
    """Prometheus' rules for names."""
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert metric.kind is not Kind.HISTOGRAM or metric.name.endswith("_seconds"), metric.name
