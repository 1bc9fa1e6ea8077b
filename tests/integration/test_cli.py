"""The commands in processes of their own, against a real API server; at a terminal, in a real one."""

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.engine.follow import until_gone
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster, Object
from tests.integration.command import Cli
from tests.integration.servers import ApiServer
from tests.terminal import SECONDS, Terminal

AUDIT = {"controlPlane": {"audit": {"level": "Metadata"}}}
EVIL = "evil\x1b]0;owned\x07\u202e"


@pytest.fixture(scope="module")
def cli(host_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli.of(host_server, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def name(host: Cluster) -> Iterator[str]:
    """A name nobody has; what gets it is deleted after the test."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    yield name
    remove(host, name)


def remove(host: Cluster, name: str) -> None:
    if host.get("TenantCluster", name, "default"):
        host.patch("TenantCluster", name, {"spec": {"paused": False}}, "default")
        host.delete("TenantCluster", name, "default")
        with Engine(host, "default", name) as engine:
            until_gone(engine, SECONDS, lambda _: None)


def documents(name: str, **spec: Any) -> str:
    cluster = {
        "apiVersion": names.API_VERSION,
        "kind": "TenantCluster",
        "metadata": {"name": name},
        "spec": {"datastore": {"storage": "Ephemeral"}, **spec},
    }
    pool = {
        "apiVersion": names.API_VERSION,
        "kind": "NodePool",
        "metadata": {"name": f"{name}-w"},
        "spec": {"clusterRef": {"name": name}, "replicas": 0},
    }
    return yaml.safe_dump_all([cluster, pool])


@pytest.fixture
def made(cli: Cli, host: Cluster, name: str) -> str:
    """A tenant cluster after one pass."""
    cli.run("apply", "-f", "-", "--wait", "0", stdin=documents(name))
    step(host, name)
    return name


@pytest.fixture(scope="module")
def seen(cli: Cli, host_server: ApiServer) -> Iterator[str]:
    """The same for all tests that only look."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    cli.run("apply", "-f", "-", "--wait", "0", stdin=documents(name))
    with host_server.cluster() as host:
        step(host, name)
        yield name
        remove(host, name)


def step(host: Cluster, name: str) -> None:
    with Engine(host, "default", name) as engine:
        engine.step()


def cluster_of(host: Cluster, name: str) -> Object:
    found = host.get("TenantCluster", name, "default")
    assert found
    return found


def status(host: Cluster, name: str, **fields: Any) -> None:
    host.patch("TenantCluster", name, {"status": fields}, "default", subresource="status")


# apply, diff, edit


def test_apply_writes_what_files_say_and_once_only(
    cli: Cli, host_server: ApiServer, name: str
) -> None:
    words = ("apply", "-f", "-", "--wait", "0")
    first = cli.run(*words, stdin=documents(name)).stdout
    assert first.splitlines() == [
        f"TenantCluster default/{name} created",
        f"NodePool default/{name}-w created",
    ]
    before = len(host_server.writes())
    again = cli.run(*words, stdin=documents(name)).stdout
    assert again.count("unchanged") == 2
    assert [w for w in host_server.writes()[before:] if f"/{name}" in w and "dry" not in w] == [
        f"patch tenantclusters default/{name}",
        f"patch nodepools default/{name}-w",
    ]  # the dry runs by which the host says what is wrong
    changed = cli.run(*words, stdin=documents(name, **AUDIT)).stdout
    assert f"TenantCluster default/{name} changed" in changed


def test_what_get_prints_can_be_applied(cli: Cli, seen: str) -> None:
    for output in ("yaml", "json"):
        printed = cli.run("get", seen, "-o", output).stdout
        said = cli.run("apply", "-f", "-", "--wait", "0", stdin=printed).stdout
        assert said == f"TenantCluster default/{seen} unchanged\n"


def test_apply_tells_all_problems_and_writes_nothing(cli: Cli, host: Cluster, name: str) -> None:
    text = documents(name, colour="blue") + "---\nkind: Pod\nmetadata: {name: x}\n"
    said = cli.run("apply", "-f", "-", code=2, stdin=text.replace("replicas: 0", "replicas: -1"))
    for problem in ("spec.colour", "spec.replicas", "'Pod' is not TenantCluster or NodePool"):
        assert problem in said.stderr
    assert said.stdout == ""
    assert host.get("TenantCluster", name, "default") is None


def test_apply_lets_the_host_refuse_before_anything_is_written(
    cli: Cli, host: Cluster, name: str
) -> None:
    orphan = documents(name).split("---\n")[1]
    said = cli.run("apply", "-f", "-", code=2, stdin=orphan)
    assert f"spec.clusterRef.name: there is no {name}" in said.stderr
    assert host.get("NodePool", f"{name}-w", "default") is None


def test_diff_shows_what_apply_would_change_and_changes_nothing(
    cli: Cli, host: Cluster, made: str
) -> None:
    step(host, made)
    same = cli.run("diff", "-f", "-", stdin=documents(made))
    assert (same.stdout, same.stderr) == ("", "No objects would change.\n")
    before = cluster_of(host, made)["metadata"]["resourceVersion"]
    other = cli.run("diff", "-f", "-", "--objects", code=6, stdin=documents(made, **AUDIT))
    assert "+      level: Metadata" in other.stdout
    assert re.search(r"^~ host   Deployment kc-.*/control-plane$", other.stdout, re.MULTILINE)
    assert "audit-policy" in other.stdout
    assert "would change" in other.stderr
    assert cluster_of(host, made)["metadata"]["resourceVersion"] == before


def test_diff_of_what_is_not_there_yet(cli: Cli, name: str) -> None:
    said = cli.run("diff", "-f", "-", code=6, stdin=documents(name))
    assert f"+++ b/TenantCluster default/{name}" in said.stdout


def editor(folder: Path, script: str) -> str:
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_edit_writes_what_the_editor_leaves(cli: Cli, host: Cluster, made: str) -> None:
    changed = editor(
        cli.folder, 'sed -i "s/paused: .*//; s/storage: Ephemeral/&\\n  paused: true/" $1'
    )
    cli.run("edit", made, "--wait", "0", EDITOR=changed)
    assert cluster_of(host, made)["spec"]["paused"] is True


def test_edit_without_a_change_writes_nothing(cli: Cli, host: Cluster, seen: str) -> None:
    before = cluster_of(host, seen)["metadata"]["resourceVersion"]
    said = cli.run("edit", seen, EDITOR="true")
    assert said.stderr == "Nothing was changed.\n"
    assert cluster_of(host, seen)["metadata"]["resourceVersion"] == before


def test_edit_opens_again_with_what_is_wrong(cli: Cli, host: Cluster, seen: str) -> None:
    twice = editor(
        cli.folder,
        f'grep "^# " $1 > {cli.folder}/said; sed -i "s/storage: Ephemeral/storage: Tape/" $1',
    )
    said = cli.run("edit", seen, code=2, EDITOR=twice)
    assert "spec.datastore.storage" in (cli.folder / "said").read_text()
    assert "spec.datastore.storage" in said.stderr
    assert cluster_of(host, seen)["spec"]["datastore"]["storage"] == "Ephemeral"


# look


def test_lists_in_every_form(cli: Cli, seen: str) -> None:
    assert seen in cli.run("list").stdout
    assert "CONTROL PLANE" in cli.run("list", "-o", "wide").stdout
    assert seen in cli.run("get", "-o", "name").stdout.split()
    assert cli.run("get", seen, "-o", "name").stdout == f"{seen}\n"
    found = json.loads(cli.run("list", "-A", "-o", "json").stdout)["items"]
    assert seen in [item["metadata"]["name"] for item in found]
    found = yaml.safe_load(cli.run("get", seen, "-o", "yaml").stdout)["items"]
    assert "managedFields" not in found[0]["metadata"]


def test_what_is_not_there_is_said_with_its_code(cli: Cli) -> None:
    for words in (
        ("get", "nobody"),
        ("describe", "nobody"),
        ("wait", "nobody"),
        ("doctor", "nobody"),
    ):
        said = cli.run(*words, code=4)
        assert "no tenant cluster nobody" in said.stderr
        assert said.stdout == ""


def test_no_host_is_said_with_its_code(cli: Cli) -> None:
    config = yaml.safe_load((cli.folder / "kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (cli.folder / "dead").write_text(yaml.safe_dump(config))
    said = cli.run("list", "--kubeconfig", str(cli.folder / "dead"), code=5)
    assert "connection refused" in said.stderr


def test_describe_has_conditions_certificates_versions_and_events(
    cli: Cli, host: Cluster, seen: str
) -> None:
    space = names.control_plane_namespace(cluster_of(host, seen)["metadata"]["uid"], seen)
    host.create(event(space, "Evil", f"{EVIL} told"))
    shown = cli.run("describe", seen).stdout
    for word in (
        "CONDITION",
        "Ready",
        "NODE POOL",
        f"{seen}-w",
        "Certificates:",
        "v1.36.3",
        "Evil",
    ):
        assert word in shown
    assert re.search(r"the first of \d+ to end is \S+, on \d{4}-", shown)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)


def event(namespace: str, reason: str, message: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"e-{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }


def test_doctor_says_who_must_act_and_what_to_do(cli: Cli, seen: str) -> None:
    said = cli.run("doctor", seen, code=6)
    assert "etcd has no pod" in said.stdout
    assert "who: " in said.stdout
    assert f"do:  kubeception create {seen}" in said.stdout
    found = json.loads(cli.run("doctor", seen, "-o", "json", code=6).stdout)["items"]
    assert {"fine", "problem"} <= {item["level"] for item in found}


def test_wait_ends_when_it_is_so_or_in_time(cli: Cli, host: Cluster, seen: str) -> None:
    said = cli.run("wait", seen, "--for", "nodes=3", "--timeout", "1", code=3)
    assert "nodes=3 after 1 s" in said.stderr
    status(host, seen, phase="Ready", readyNodes=3)
    cli.run("wait", seen, "--for", "nodes=3", "--timeout", "20")
    cli.run("wait", seen, "--for", "phase=Ready", "--timeout", "20")
    assert "is none of" in cli.run("wait", seen, "--for", "rain", code=2).stderr


def test_wait_hears_of_a_change_and_of_the_end(cli: Cli, host: Cluster, name: str) -> None:
    cli.run("apply", "-f", "-", "--wait", "0", stdin=documents(name))
    waiting = cli.terminal("wait", name, "--for", "delete")
    waiting.read(until=name)
    began = time.monotonic()
    host.delete("TenantCluster", name, "default")
    assert waiting.end() == 0
    assert time.monotonic() - began < 8


def test_pause_and_resume(cli: Cli, host: Cluster, made: str) -> None:
    cli.run("pause", made)
    assert cluster_of(host, made)["spec"]["paused"] is True
    assert "Paused" in cli.run("get", made).stdout
    annotation = {"metadata": {"annotations": {names.PAUSED_ANNOTATION: "true"}}}
    host.patch("TenantCluster", made, annotation, "default")
    cli.run("resume", made)
    found = cluster_of(host, made)
    assert found["spec"]["paused"] is False
    assert names.PAUSED_ANNOTATION not in found["metadata"].get("annotations", {})


def test_describe_shows_a_budget_and_what_of_it_is_used(cli: Cli, host: Cluster, made: str) -> None:
    assert "BUDGET" not in cli.run("describe", made).stdout
    budget = {"clusters": 3, "depth": 1, "cpu": "4", "loadBalancers": 2}
    host.patch("TenantCluster", made, {"spec": {"budget": budget}}, "default")
    step(host, made)
    status(host, made, clusters=2)
    found = host.get(
        "ResourceQuota", "budget", cluster_of(host, made)["status"]["controlPlaneNamespace"]
    )
    assert found
    used = {"status": {"used": {"services.loadbalancers": "1"}}}
    space = found["metadata"]["namespace"]
    host.patch("ResourceQuota", "budget", used, space, subresource="status")
    lines = [line.split() for line in cli.run("describe", made).stdout.splitlines()]
    begin = lines.index(["BUDGET", "LIMIT", "USED"])
    assert lines[begin + 1 : begin + 5] == [
        ["clusters", "3", "2"],
        ["depth", "1", "-"],
        ["cpu", "4", "75m"],
        ["loadBalancers", "2", "1"],
    ]


def test_logs_of_what_does_not_run(cli: Cli, seen: str) -> None:
    assert "no pod of its etcd" in cli.run("logs", seen, "etcd", code=4).stderr
    assert "is none of etcd" in cli.run("logs", seen, "kubelet", code=2).stderr


def test_connect_says_when_nothing_answers(cli: Cli, seen: str) -> None:
    said = cli.run("connect", seen, "--wait", "1", "--", "true", code=3)
    assert "neither at" in said.stderr or "has no address yet" in said.stderr


# a shell's completion


def completed(cli: Cli, *words: str, **environment: str) -> tuple[list[str], float]:
    began = time.monotonic()
    done = replace(cli, environment={**cli.environment, **environment}).run(
        COMP_WORDS=" ".join(words),
        COMP_CWORD=str(len(words) - 1),
        _KUBECEPTION_COMPLETE="bash_complete",
    )
    assert done.stderr == ""
    seconds = time.monotonic() - began
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line], seconds


def test_names_are_completed_from_the_cluster(cli: Cli, seen: str) -> None:
    assert completed(cli, "kubeception", "describe", seen[:5])[0] == [seen]
    assert "apiserver" in completed(cli, "kubeception", "logs", seen, "")[0]
    assert "doctor" in completed(cli, "kubeception", "do")[0]


def test_completion_is_silent_where_there_is_no_host(cli: Cli) -> None:
    assert completed(cli, "kubeception", "describe", "", KUBECONFIG="/nowhere")[0] == []


def test_completion_of_names_loads_nothing_heavy(cli: Cli) -> None:
    report = (  # whether the host answers in time is another matter
        "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "
        "from kubeception.cli.complete import tenant_names; tenant_names(None, None, 'default')"
    )
    done = subprocess.run(
        [sys.executable, "-c", report],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "kubeception.kube.quick" in done.stdout.split()
    heavy = {"kubernetes", "urllib3", "pydantic", "rich", "cryptography", "jinja2"}
    assert not heavy & {module.partition(".")[0] for module in done.stdout.split()}


# at a terminal


def test_colours_only_where_they_are_wanted(cli: Cli, seen: str) -> None:
    plain = cli.run("doctor", seen, code=6)
    assert "\x1b" not in plain.stdout + plain.stderr
    coloured = cli.terminal("doctor", seen)
    coloured.end()
    assert "\x1b[31m" in coloured.text
    none = cli.terminal("doctor", seen, NO_COLOR="1")
    none.end()
    assert not re.search(r"\x1b\[3\dm", none.text)


def test_an_interrupted_create_leaves_a_clean_state_and_says_how_to_go_on(
    cli: Cli, host: Cluster, name: str
) -> None:
    words = ("create", name, "--workers", "0", "--set", "datastore.storage=Ephemeral", "--no-merge")
    shown = cli.terminal(*words)
    shown.read(until="waits for")
    assert shown.interrupt() == 130
    assert "It was at: Datastore" in shown.plain
    assert f"kubeception create {name} --workers 0" in shown.plain
    assert_left_clean(host, shown, name)
    assert cluster_of(host, name)["metadata"]["name"] == name


def test_an_interrupted_delete_leaves_a_clean_state_and_goes_on(
    cli: Cli, host: Cluster, made: str
) -> None:
    """What holds it is a Secret with a finalizer, which the host keeps until that is gone."""
    space = names.control_plane_namespace(cluster_of(host, made)["metadata"]["uid"], made)
    meta = {"name": "held", "namespace": space, "finalizers": ["example.org/held"]}
    host.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    shown = cli.terminal("delete", made)
    shown.read(until="waits for")
    assert shown.interrupt() == 130
    assert (
        f"It was at: Namespaces and volumes: waits for Namespaces and volumes: Namespace {space}"
        in (shown.plain)
    )
    assert f"Nothing was undone. Go on with:\r\n\r\n  kubeception delete {made}\r\n" in shown.plain
    assert_left_clean(host, shown, made)
    assert "deletionTimestamp" in cluster_of(host, made)["metadata"]
    host.patch("Secret", "held", {"metadata": {"finalizers": []}}, space)
    assert f"Tenant cluster {made} is deleted." in cli.run("delete", made).stdout
    assert host.get("Namespace", space) is None


def assert_left_clean(host: Cluster, shown: Terminal, name: str) -> None:
    """No traceback, no hidden cursor, and nobody holds the tenant."""
    assert "Traceback" not in shown.text
    assert "Exception ignored" not in shown.text
    assert shown.text.rfind("\x1b[?25h") >= shown.text.rfind("\x1b[?25l")
    leases = [lease["metadata"]["name"] for lease in host.list("Lease", "default")]
    assert not [lease for lease in leases if name in lease]


def test_an_interrupted_watch_just_ends(cli: Cli, host: Cluster, seen: str) -> None:
    shown = cli.terminal("get", seen, "--watch")
    shown.read(until=seen)
    status(host, seen, phase="Failed")
    shown.read(until="Failed")
    assert shown.interrupt() == 130
    assert "Go on" not in shown.text


PULL = {"reason": "ImagePullBackOff", "message": "no such image at registry.example"}
CONTAINER = {
    "name": "etcd",
    "image": "registry.example/etcd:none",
    "imageID": "",
    "ready": False,
    "restartCount": 0,
    "state": {"waiting": PULL},
}
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}
TROUBLES = [
    ({"containerStatuses": [CONTAINER]}, "ImagePullBackOff: no such image at registry.example"),
    (
        {"conditions": [UNSCHEDULED]},
        "Unschedulable: 0/3 nodes are available: 3 Insufficient memory.",
    ),
]


@pytest.mark.parametrize(("status", "cause"), TROUBLES, ids=["image", "room"])
def test_a_create_says_what_blocks_it(
    cli: Cli, host: Cluster, name: str, status: Object, cause: str
) -> None:
    """The cause comes out of a pod's status, as a kubelet or the scheduler would have written it."""
    words = ("create", name, "--workers", "0", "--set", "datastore.storage=Ephemeral", "--no-merge")
    shown = cli.terminal(*words)
    stateful = eventually(lambda: etcd_of(host, name))
    host.create(pod_of(stateful))
    space = stateful["metadata"]["namespace"]
    host.patch("Pod", "etcd-0", {"status": status}, space, subresource="status")
    assert eventually(lambda: cause in words_of(shown))
    waited = re.findall(r"Datastore (\d+) s (waits for)", words_of(shown))
    assert {int(seconds) >= 3 for seconds, _ in waited} == {True}
    assert min(int(seconds) for seconds, _ in waited) < 6
    assert shown.interrupt() == 130
    assert "Go on with" in shown.plain


def words_of(shown: Terminal) -> str:
    """All it has printed so far, without line ends and what steers a terminal."""
    shown.read(seconds=0.3)
    return " ".join(shown.plain.split())


def etcd_of(host: Cluster, name: str) -> Object | None:
    found = host.get("TenantCluster", name, "default")
    if found is None:
        return None
    return host.get(
        "StatefulSet", "etcd", names.control_plane_namespace(found["metadata"]["uid"], name)
    )


def pod_of(stateful: Object) -> Object:
    """The pod that a controller of StatefulSets would make."""
    template, meta = stateful["spec"]["template"], stateful["metadata"]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "etcd", "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "etcd-0",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {**template["spec"], "priorityClassName": None, "serviceAccountName": None},
    }


def eventually(found: Any, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return answer
