"""The dashboard shows what there is."""

import json
import re
from pathlib import Path

from kubeception.operator.metrics import Metrics
from kubeception.operator.process import GAUGES

DASHBOARD = Path(__file__).parents[3] / "manifests" / "operator" / "dashboard.json"


def known() -> set[str]:
    """Names of all series, with what histograms and counters add."""
    metrics = Metrics()
    for name, text in GAUGES.items():
        metrics.gauge(name, text, lambda: 0.0)
    found = set()
    for family in metrics.registry.collect():
        found.add(family.name)
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        found |= {family.name + end for end in ends.get(family.type, ())}
    return found


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_every_series_the_dashboard_asks_for_exists() -> None:
    asked = {
        name
        for expr in expressions()
        for name in re.findall(r"\b(?:kubeception|process)_\w+", expr)
    }
    assert asked
    assert asked <= known()


def test_every_series_of_ours_is_on_the_dashboard() -> None:
    shown = " ".join(expressions())
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in known()}
    ours = {name for name in families if name.startswith("kubeception_")}
    assert {name for name in ours if name not in shown} == set()
