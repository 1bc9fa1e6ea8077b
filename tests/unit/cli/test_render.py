from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kubeception.cli import kubeception

SAMPLES = sorted((Path(__file__).parents[3] / "manifests" / "samples").glob("tenant*.yaml"))


def rendered(*words: str) -> list[tuple[str, str]]:
    result = CliRunner().invoke(kubeception, ["render", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return [(o["kind"], o["metadata"]["name"]) for o in yaml.safe_load_all(result.stdout)]


def test_everything_is_printed_without_a_cluster() -> None:
    found = rendered("acme", "--workers", "2")
    kinds = [kind for kind, _ in found]
    assert found[:2] == [("TenantCluster", "acme"), ("NodePool", "acme-workers")]
    assert kinds.count("VirtualMachine") == 2
    for kind in ("Namespace", "StatefulSet", "Deployment", "Service", "ConfigMap", "DaemonSet"):
        assert kind in kinds


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_are_rendered(path: Path) -> None:
    assert len(rendered("-f", str(path))) > 30
