"""Three clusters deep: each in the one before, its nodes pods of that; used from outside, hurt, and ended."""

import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.lab import state
from tests.e2e.conftest import Lab, programs
from tests.e2e.deep import Deep, deep_in
from tests.e2e.tenant import (
    ECHO,
    assert_pods_exchange_64_kib,
    eventually,
    leftovers,
    uid_of,
)

A, B, C = "e2e-a", "e2e-a/b", "e2e-a/b/c"
PATHS = (A, B, C)


@pytest.fixture(scope="module")
def a(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deep]:
    """One command makes three; only the last is asked for."""
    made = deep_in(lab, tmp_path_factory.mktemp("nesting"), A)
    made.run("create", C, "--parents", "--provider", "pod", "--workers", "2", "--wait", "15m")
    yield made
    made.run("delete", A, "--cascade", check=False)


def branch(tree: Any, path: str) -> Any:
    """A cluster of `tree -o json`."""
    found = {"children": tree["items"]}
    for name in path.split("/"):
        (found,) = (
            b for b in found["children"] if b["kind"] == "TenantCluster" and b["name"] == name
        )
    return found


def test_each_is_a_cluster_of_its_own_and_reached_from_outside(a: Deep) -> None:
    uids = {
        a.inner(p).kubectl("get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}")
        for p in PATHS
    }
    assert len(uids) == len(PATHS)
    for path, nodes in ((A, 1), (B, 1), (C, 2)):
        assert len(a.inner(path).nodes()) == nodes


def test_no_ranges_meet(lab: Lab, a: Deep) -> None:
    host = state.load(lab.name)
    assert host
    used = list(host.ranges)
    for where, name in (((), A), (("--in", A), "b"), (("--in", B), "c")):
        (found,) = a.json("get", name, *where)["items"]
        used += [IPv4Network(found["status"][key]) for key in ("podCIDR", "serviceCIDR")]
    assert not [pair for pair in combinations(used, 2) if pair[0].overlaps(pair[1])]


@pytest.mark.parametrize("path", [A, B])
def test_each_inner_host_has_an_operator_that_leads(a: Deep, path: str) -> None:
    holder = "jsonpath={.spec.holderIdentity}"
    ask = ("get", "lease", names.OPERATOR, "-n", names.SYSTEM_NAMESPACE, "-o", holder)
    eventually(f"an operator leads in {path}", lambda: a.inner(path).kubectl(*ask, check=False))


def test_pods_run_at_each_level_and_talk_across_the_nodes_of_the_innermost(a: Deep) -> None:
    for path in (A, B):
        a.inner(path).kubectl("apply", "-f", "-", stdin=ECHO.replace("replicas: 2", "replicas: 1"))
    a.inner(C).kubectl("apply", "-f", "-", stdin=ECHO)
    for path in PATHS:
        a.inner(path).kubectl("rollout", "status", "deployment/echo", "--timeout", "300s")
    assert_pods_exchange_64_kib(a.inner(C))


def test_the_tree_shows_all_and_what_each_uses(a: Deep) -> None:
    tree = a.json("tree", A)
    for path in PATHS:
        found = branch(tree, path)
        assert found["status"] == "Ready", found
    assert branch(tree, A)["own"]["memory"] > 100 << 20
    drawn = [line.split(" v1.")[0].rstrip() for line in a.run("tree", A).stdout.splitlines()]
    assert "└─ b" in drawn
    assert "   └─ c" in drawn


def who(at: list[str], environment: dict[str, str], credential: list[str]) -> str:
    """Whom an API server takes somebody for; nobody where it refuses."""
    kubectl = programs() / "kubectl"
    ask = f"{kubectl} --user=thief auth whoami -o jsonpath={{.status.userInfo.username}}"
    steps = f'{kubectl} config set-credentials thief "$@" >&2 && {ask}'
    argv = [*at, "sh", "-c", steps, "sh", *credential]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (
        not done.returncode or "Unauthorized" in done.stderr or "must be logged in" in done.stderr
    )
    return done.stdout


@pytest.mark.attack("A22", control="within")
def test_what_opens_one_level_opens_no_other(
    lab: Lab, a: Deep, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Neither a ServiceAccount's token nor an administrator's certificate, up, down, or at the host."""
    host = tmp_path / "host"
    host.write_text(lab.run("kubeconfig").stdout)
    ways = {path: a.argv("connect", path, "--") for path in PATHS} | {"": []}
    stolen = {}
    for path in ways:
        token = ("create", "token", "default", "--namespace", "default")
        stolen["token", path] = [
            f"--token={(a.inner(path).kubectl(*token) if path else lab.kubectl(*token)).strip()}"
        ]
        text = a.run("kubeconfig", path).stdout if path else host.read_text()
        (user,) = (each["user"] for each in yaml.safe_load(text)["users"])
        for part in ("certificate", "key"):
            file = tmp_path / f"{path.replace('/', '-')}.{part}"
            file.write_bytes(b64decode(user[f"client-{part}-data"]))
            stolen.setdefault(("certificate", path), []).append(f"--client-{part}={file}")
    environments = dict.fromkeys(PATHS, a.environment) | {
        "": {**a.environment, "KUBECONFIG": str(host)}
    }
    taken_for = {
        (kind, of, at): who(way, environments[at], credential)
        for at, way in ways.items()
        for (kind, of), credential in stolen.items()
    }
    own = {key: name for key, name in taken_for.items() if key[1] == key[2]}
    record_property("cases", len(taken_for) - len(own))
    assert all(own.values()), own
    assert {key: name for key, name in taken_for.items() if name and key not in own} == {}


def test_a_host_of_others_is_not_deleted_by_accident(a: Deep) -> None:
    done = a.run("delete", A, check=False)
    assert done.returncode == 1
    assert f"is the host of {C}, {B}" in done.stderr
    assert a.inner(C).nodes()


def test_a_middle_api_server_that_dies_comes_back_and_nothing_below_was_hurt(a: Deep) -> None:
    before = a.inner(C).pods()
    (found,) = a.json("get", "b", "--in", A)["items"]
    space = found["status"]["controlPlaneNamespace"]
    outer = a.inner(A)
    pods = ("pods", "-n", space, "-l", f"{names.COMPONENT_LABEL}=control-plane")
    old = outer.kubectl("get", *pods, "-o", "name")
    outer.kubectl("delete", *pods, "--force", "--grace-period=0")

    def replaced() -> bool:
        said = outer.kubectl(
            "get", *pods, "-o", "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        )
        return said == "True" and outer.kubectl("get", *pods, "-o", "name") != old

    eventually("another control plane of b runs", replaced)
    eventually("c answers through it", lambda: a.inner(C).pods() == before)


def test_the_end_of_the_outermost_ends_all_and_leaves_nothing(lab: Lab, a: Deep) -> None:
    uid = uid_of(lab, A)
    done = a.run("delete", A, "--cascade")
    ended = [line for line in done.stderr.splitlines() if line.startswith(A)]
    assert ended == [f"{C}:", f"{B}:"]
    assert leftovers(lab, uid, A) == ""
