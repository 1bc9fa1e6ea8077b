"""A cluster on virtual machines is the host of another one: its control plane runs in a virtual machine."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Lab
from tests.e2e.deep import Deep, deep_in
from tests.e2e.tenant import leftovers, uid_of

pytestmark = pytest.mark.slow

OUTER, INNER = "e2e-vm", "e2e-vm/inner"
WAIT = "--wait=25m"
"""Under emulation a control plane takes minutes to start, and others run beside it."""


@pytest.fixture(scope="module")
def outer(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deep]:
    made = deep_in(lab, tmp_path_factory.mktemp("nesting"), OUTER)
    made.run("create", OUTER, "--workers=1", "--cpus=2", "--memory=3Gi", WAIT)
    yield made
    made.run("delete", OUTER, "--cascade", check=False)


def test_a_control_plane_runs_in_a_virtual_machine(outer: Deep) -> None:
    outer.run("create", INNER, "--workers=0", WAIT)
    (found,) = outer.json("get", "inner", "--in", OUTER)["items"]
    space = found["status"]["controlPlaneNamespace"]
    pods = outer.kubectl("get", "pods", "-n", space, "-o", "jsonpath={.items[*].spec.nodeName}")
    assert set(pods.split()) == set(outer.nodes())
    inner = outer.inner(INNER)
    assert inner.kubectl("get", "namespace", "default", "-o", "name") == "namespace/default\n"
    version = inner.kubectl("get", "--raw", "/version")
    assert f'"{found["status"]["version"]}"' in version


def test_a_virtual_machine_in_one_is_refused_with_what_is_missing(outer: Deep) -> None:
    done = outer.run("create", f"{OUTER}/other", "--provider=kubevirt", check=False)
    assert done.returncode != 0
    assert "KubeVirt" in done.stderr
    assert not outer.kubectl("get", "tc", "other", "--ignore-not-found")


def test_it_ends_with_what_it_is_in(lab: Lab, outer: Deep) -> None:
    uid = uid_of(lab, OUTER)
    outer.run("delete", OUTER, "--cascade")
    assert leftovers(lab, uid, OUTER) == ""
