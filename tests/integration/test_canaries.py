"""No secret is said or stored but in Secrets, and there only in the namespaces it is for.

A tenant with machines of several kinds is made, worked on by commands and by an operator, some of which break off in
the middle; then all that was printed, logged or stored is searched for every secret value there was.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kubeception import names
from kubeception.components.install import Options
from kubeception.engine.install import install, install_operator
from kubeception.engine.reconcile import Engine
from kubeception.kube.client import Cluster
from tests.commands import all_commands
from tests.integration.canaries import Canary, Found, leaks, misplaced, private, stored
from tests.integration.command import Cli
from tests.integration.conftest import serve
from tests.integration.operators import Operator, until
from tests.integration.servers import ApiServer
from tests.integration.standins import Straight
from tests.integration.test_machines import BARE, World

pytestmark = pytest.mark.timeout(900)

ENOUGH: Final = 20
NOWHERE: Final = "203.0.113.77"
EXPOSED: Final = {"exposure": {"type": "NodePort", "host": NOWHERE}}
COMMANDS: Final = (
    "create NAME --wait 0",
    "apply -f FILE --wait 0",
    "diff -f FILE --objects",
    "edit NAME",
    "scale NAME --pool NAME-workers --workers 2 --wait 5s",
    "rotate-keys NAME --wait 0",
    "join-command NAME-ssh",
    "pause NAME",
    "resume NAME",
    "list -A -o yaml",
    "get NAME -o yaml",
    "get NAME -o json",
    "describe NAME",
    "tree -o wide",
    "nodes NAME -o json",
    "events NAME -o wide",
    "top NAME",
    "logs NAME apiserver",
    "console NAME-workers-0",
    "wait NAME --for condition=Ready --timeout 1s",
    "doctor NAME",
    "connect NAME --print-way --wait 1s",
    "connect NAME --wait 1s -- env",
    "upgrade --wait 1s",
    "install --wait 1s",
    "config view",
    "config path",
    "config set output wide",
    "config unset output",
    "completion bash",
    "version",
)
"""What is typed, of which all that is printed is searched."""
OTHERS: Final = {
    "kubeconfig": "prints a key, and is what people are given it by; its errors are searched",
    "delete": "comes last, with the same",
    "render": "makes keys up, of no cluster",
    "uninstall": "needs an answer, and removes what delete does",
    "lab": "knows no tenant",
    "image": "knows no tenant",
}
BROKEN: Final = """
import os
if os.environ.get("BREAK_OFF"):
    from kubeception.plan.pki import Pki
    def leaves(self, *readers):
        held = [self.ca("client"), self.encryption_keys, self.service_account_key]
        raise RuntimeError(f"broken off with {len(held)} roots in hand")
    Pki.leaves = leaves
"""
"""Run by each Python that starts: a pass that comes to leaf certificates ends there."""


@dataclass
class Life:
    """What a tenant's life left behind."""

    host: Cluster
    tenant: Cluster
    canaries: list[Canary] = field(default_factory=list)
    said: list[Found] = field(default_factory=list)

    def keep(self, cluster: str, of: Cluster, namespace: str, *homes: tuple[str, str]) -> None:
        """Know of the secret values in a namespace, which may be there, and in other homes."""
        known = {canary.value for canary in self.canaries}
        own = frozenset({(cluster, namespace), *homes})
        for secret in of.list("Secret", namespace):
            for name, value in private(secret):
                if value not in known:
                    self.canaries.append(Canary(name, value, own))


@pytest.fixture(scope="module")
def host_server(lone_server: ApiServer) -> ApiServer:
    return lone_server


@pytest.fixture(scope="module")
def life(
    host_server: ApiServer, tenant_server: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("canaries")
    with ExitStack() as stack:
        host = stack.enter_context(host_server.cluster())
        tenant = stack.enter_context(tenant_server.cluster("tenant"))
        install(host)
        install_operator(host, Options())
        for plural, kind in (
            ("virtualmachines", "VirtualMachine"),
            ("virtualmachineinstances", "VirtualMachineInstance"),
            ("virtualmachineinstancemigrations", "VirtualMachineInstanceMigration"),
        ):
            serve(host, plural, kind)
        yield lived(Life(host, tenant), host_server, folder)
        for token in tenant.list("Secret", "kube-system", labels=names.MACHINE_LABEL):
            tenant.delete("Secret", token["metadata"]["name"], "kube-system")


def lived(life: Life, server: ApiServer, folder: Path) -> Life:
    """The life of a tenant, with everything done to it that commands and an operator do."""
    guards = {names.ALLOW_SSH_NODES: "true", names.ALLOW_INFRA_CLUSTERS: "true"}
    life.host.patch("Namespace", "default", {"metadata": {"labels": guards}})
    world = World(life.host, life.tenant, **EXPOSED)
    give(life, world, folder)
    world.scale(2)
    passes(world)
    keep(life, world)

    home = folder / "home"
    home.mkdir()
    (home / "sitecustomize.py").write_text(BROKEN)
    path = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH", ""))))
    cli = Cli.of(server, home)
    cli.environment.update(PYTHONPATH=path, EDITOR="true", VISUAL="true")
    (home / "tenant.yaml").write_text(documents(world))
    for wanted in (("--ttl", "1h"), ("--break-glass",)):
        person(life, cli, world.name, *wanted)
    typed = [line.replace("NAME", world.name) for line in COMMANDS]
    typed = [line.replace("FILE", str(home / "tenant.yaml")) for line in typed]
    life.said += [run(cli, line.split()) for line in typed]
    passes(world)
    keep(life, world)
    cli.environment["BREAK_OFF"] = "yes"
    broken = run(cli, ["rotate-keys", world.name, "--wait", "5s"])
    assert "broken off with 3 roots in hand" in broken.text
    life.said += [broken, *operated(server, folder, path)]
    keep(life, world)
    life.said.append(Found("the host's audit log", server.audit.read_text()))
    return life


def give(life: Life, world: World, folder: Path) -> None:
    """What its owner brings: a key for machines by SSH, and a way to another cluster, with pools that use them."""
    key = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    token = base64.b16encode(os.urandom(16)).decode()
    kubeconfig: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": f"https://{NOWHERE}:6443"}}],
        "users": [{"name": "x", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    own = frozenset({("host", "default")})
    life.canaries += [
        Canary("SSH key", key.read_bytes(), own),
        Canary("token of the infra kubeconfig", token.encode(), own),
        Canary("infra kubeconfig", yaml.safe_dump(kubeconfig).encode(), own),
    ]
    for name, kind, data in (
        ("ssh", "kubernetes.io/ssh-auth", {"ssh-privatekey": key.read_text()}),
        ("infra", "Opaque", {"kubeconfig": yaml.safe_dump(kubeconfig)}),
    ):
        meta = {"name": f"{world.name}-{name}", "namespace": "default"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind}
        life.host.apply({**secret, "stringData": data})
    ssh = {"keySecretRef": {"name": f"{world.name}-ssh"}, "machines": [{"address": NOWHERE}]}
    infra = {"infraKubeconfigSecretRef": {"name": f"{world.name}-infra"}, "infraNamespace": "x"}
    for name, options in (
        ("ssh", {"provider": "ssh", "ssh": ssh}),
        ("infra", {"kubevirt": infra}),
    ):
        spec = {"clusterRef": {"name": world.name}, "replicas": 1, **options}
        meta = {"name": f"{world.name}-{name}", "namespace": "default"}
        body = {"apiVersion": names.API_VERSION, "kind": "NodePool"}
        life.host.apply({**body, "metadata": meta, "spec": spec})


def passes(world: World) -> None:
    """Passes that reach the tenant's API."""
    with Engine(world.host, "default", world.name) as engine:
        engine.link = Straight(world.tenant)  # type: ignore[assignment]
        for _ in range(3):
            engine.step()


def keep(life: Life, world: World) -> None:
    inside = ("tenant", "kube-system")
    life.keep(
        "tenant",
        life.tenant,
        "kube-system",
        ("host", world.namespace),
        ("host", world.control_plane),
    )
    life.keep("host", life.host, world.control_plane)
    life.keep("host", life.host, world.namespace, inside)


def documents(world: World) -> str:
    cluster = {"apiVersion": names.API_VERSION, "kind": "TenantCluster"}
    return yaml.safe_dump(
        {**cluster, "metadata": {"name": world.name}, "spec": {**BARE, **EXPOSED}}
    )


def person(life: Life, cli: Cli, name: str, *options: str) -> None:
    """A kubeconfig of a person, which nobody else has."""
    done = cli.run("kubeconfig", name, *options)
    (user,) = yaml.safe_load(done.stdout)["users"]
    key = base64.b64decode(user["user"]["client-key-data"])
    life.canaries.append(Canary(f"key of a person {' '.join(options)}", key))
    life.said.append(Found("the errors of kubeconfig", done.stderr))


def run(cli: Cli, words: list[str]) -> Found:
    """All that a command prints, whatever becomes of it."""
    done = subprocess.run(
        cli.argv(*words),
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Found(f"what {words[0]} prints", done.stdout + done.stderr)


def operated(server: ApiServer, folder: Path, path: str) -> Iterator[Found]:
    """The log, as full as it gets, of an operator at work, and of one whose passes break off."""
    for broken in ("", "yes"):
        environment = {"PYTHONPATH": path, "BREAK_OFF": broken}
        with pytest.MonkeyPatch.context() as patched:
            for key, value in environment.items():
                patched.setenv(key, value)
            running = Operator(folder / f"operator{broken}", server)
        try:
            running.ready()
            until(lambda: running.metric("kubeception_tenants_seen") >= 1)  # noqa: B023  # at once
            if broken:
                until(lambda: "broken off with" in running.log.read_text())  # noqa: B023
            yield Found("the operator's metrics", running.get("/metrics")[1])
        finally:
            running.kill()
        yield Found("the operator's log", running.log.read_text())


def test_every_command_is_typed_or_left_out_for_a_reason() -> None:
    typed = {line.split()[0] for line in COMMANDS}
    assert typed | OTHERS.keys() == {words[0] for words, _ in all_commands()}


def test_there_are_secrets_enough_to_look_for(life: Life) -> None:
    known = {canary.name for canary in life.canaries}
    assert len(known) > ENOUGH
    for wanted in (
        *(f"ca-{name}/tls.key" for name in ("serving", "client", "etcd", "front-proxy", "tunnel")),
        "service-account/sa.key",
        "encryption-key/secretbox",
        "encryption-key-2/secretbox",
        "kube-apiserver/etcd-client.key",
        "engine/client.key",
    ):
        assert wanted in known
    assert any(name.endswith("token-secret") for name in known)
    assert any(name.endswith("userdata") for name in known)


def test_what_is_printed_and_logged_has_no_secret_in_it(life: Life) -> None:
    assert all(found.text for found in life.said if "log" in found.where)
    assert leaks(life.canaries, life.said) == []


def test_no_object_but_a_secret_has_one(life: Life) -> None:
    texts = [*stored("host", life.host), *stored("tenant", life.tenant)]
    assert {"configmaps of host", "events of host", "tenantclusters of host"} <= {
        found.where for found in texts
    }
    assert leaks(life.canaries, texts) == []


def test_secrets_are_in_the_namespaces_they_are_for(life: Life) -> None:
    assert misplaced(life.canaries, "host", life.host) == []
    assert misplaced(life.canaries, "tenant", life.tenant) == []


@pytest.mark.parametrize("form", ["raw", "base64", "line"])
def test_one_that_is_somewhere_else_is_found(life: Life, form: str) -> None:
    """The control run."""
    (canary,) = (c for c in life.canaries if c.name == "ca-client/tls.key")
    text = {
        "raw": canary.value.decode(),
        "base64": base64.b64encode(canary.value).decode(),
        "line": canary.value.decode().splitlines()[1],
    }[form]
    meta = {"name": f"leak-{form}", "namespace": "default", "annotations": {"x": text}}
    for kind in ("ConfigMap", "Secret"):
        life.host.apply({"apiVersion": "v1", "kind": kind, "metadata": meta})
    try:
        assert "ca-client/tls.key in configmaps of host" in leaks(
            life.canaries, stored("host", life.host)
        )
        strange = [f"ca-client/tls.key in Secret leak-{form} of host/default"]
        assert misplaced(life.canaries, "host", life.host) == strange
        assert leaks([canary], [Found("here", json.dumps(text))])
    finally:
        for kind in ("ConfigMap", "Secret"):
            life.host.delete(kind, f"leak-{form}", "default")
