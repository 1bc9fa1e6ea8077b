"""Creates that don't go straight: killed half-way, without room, with a bad spec."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kubeception import names
from tests.e2e.conftest import Lab
from tests.e2e.tenant import eventually, leftovers, roots, tenant_in, uid_of
from tests.terminal import open_terminal

CREATE_SECONDS = 300


@pytest.mark.timeout(CREATE_SECONDS)
@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_a_create_that_is_killed_goes_on_with_the_same_keys(
    lab: Lab, tmp_path: Path, seconds: float
) -> None:
    """And its end doesn't need an API server that answers."""
    tenant = tenant_in(lab, tmp_path, f"e2e-killed-{int(seconds * 10)}")
    words = ("create", tenant.name, "--workers", "0")
    killed = subprocess.Popen(
        tenant.argv(*words),
        env=tenant.environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        ours = eventually("the TenantCluster", lambda: name_in(lab, tenant.name))
        assert ours
        time.sleep(seconds)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    uid = uid_of(lab, tenant.name)
    space = names.control_plane_namespace(uid, tenant.name)
    before = roots(lab, space)
    tenant.run(*words)
    after = roots(lab, space)
    assert {key: after[key] for key in before} == before
    assert "kube-system" in tenant.kubectl("get", "namespaces", "-o", "name")
    lab.kubectl("delete", "statefulset", "etcd", "-n", space)
    tenant.run("delete", tenant.name)
    assert leftovers(lab, uid, tenant.name) == ""


def name_in(lab: Lab, name: str) -> bool:
    found = lab.kubectl("get", "tc", "--ignore-not-found", "-o", "name") if served(lab) else ""
    return name in found


def served(lab: Lab) -> bool:
    return "tenantclusters" in lab.kubectl("get", "crd", "-o", "name")


@pytest.mark.timeout(CREATE_SECONDS)
def test_a_machine_that_no_host_has_room_for_says_so_and_the_wreck_is_gone_on_with(
    lab: Lab, tmp_path: Path
) -> None:
    tenant = tenant_in(lab, tmp_path, "e2e-room")
    words = ("create", tenant.name, "--workers", "1", "--memory", "900Gi")
    shown = open_terminal(tenant.argv(*words), tenant.environment)
    shown.read(until="Insufficient memory", seconds=120)
    assert shown.interrupt() == 130
    assert "It was at: Nodes: waits for 0/1 nodes ready" in shown.plain
    assert "kubeception create e2e-room --workers 1 --memory 900Gi" in shown.plain
    assert "Insufficient memory" in tenant.run("describe", tenant.name).stdout
    found = tenant.run("doctor", tenant.name, check=False)
    assert found.returncode == 6
    assert "Insufficient memory" in found.stdout
    assert "who: host administrator" in found.stdout
    tenant.run("create", tenant.name, "--workers", "0")
    assert tenant.nodes() == []
    uid = uid_of(lab, tenant.name)
    tenant.run("delete", tenant.name)
    assert leftovers(lab, uid, tenant.name) == ""


def test_a_bad_spec_is_refused_with_all_its_problems(lab: Lab, tmp_path: Path) -> None:
    tenant = tenant_in(lab, tmp_path, "e2e-bad")
    file = tmp_path / "bad.yaml"
    file.write_text(
        "kind: TenantCluster\nmetadata: {name: e2e-bad}\n"
        "spec: {version: v1.2.3, colour: blue, datastore: {size: much}}\n"
    )
    refused = tenant.run("create", "e2e-bad", "-f", str(file), check=False)
    assert refused.returncode == 2
    for problem in ("spec.colour: unknown key", "spec.datastore.size"):
        assert problem in refused.stderr
    assert "e2e-bad" not in tenant.run("list").stdout
