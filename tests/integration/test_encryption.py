"""A new encryption key for a tenant's Secrets, with its etcd read from outside: what is there under which key."""

import base64
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

from kubeception import names
from kubeception.engine import rewrite
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.errors import ApiError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.edit import container
from kubeception.plan.secret import data_of
from tests.integration import servers
from tests.integration.servers import api_server
from tests.integration.standins import Straight, report_ready

pytestmark = pytest.mark.timeout(600)

SECRETS: Final = 64
SERVICES: Final = "--service-cluster-ip-range="
PASSES: Final = 10
STORED: Final = re.compile(rb"k8s:enc:secretbox:v1:(key\d+):")


class World:
    """A TenantCluster, and a kube-apiserver that is started anew whenever its Deployment is another one."""

    def __init__(self, host: Cluster, etcd: str, folder: Path, stack: ExitStack) -> None:
        self.host, self.etcd, self.folder = host, etcd, folder
        self._server = ExitStack()
        stack.callback(self._server.close)
        self.name = f"t-{uuid.uuid4().hex[:8]}"
        self.tenant: Cluster | None = None
        self._generation = 0
        made = host.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": "TenantCluster",
                "metadata": {"name": self.name, "namespace": "default"},
                "spec": {"datastore": {"storage": "Ephemeral"}},
            }
        )
        self.namespace = names.control_plane_namespace(made["metadata"]["uid"], self.name)

    def ask(self, rotation: str) -> None:
        change = {"spec": {"encryption": {"rotation": rotation}}}
        self.host.patch("TenantCluster", self.name, change, "default")

    def step(self) -> Report:
        """A pass of an engine that knows nothing of those before it."""
        with Engine(self.host, "default", self.name) as engine:
            if self.tenant:
                engine.link = Straight(self.tenant)  # type: ignore[assignment]
            report = engine.step()
        assert report.failures == []
        return report

    def deployment(self) -> Object:
        found = self.host.get("Deployment", "control-plane", self.namespace)
        assert found
        return found

    def roll_out(self, *, restart: bool = True) -> None:
        """What a kubelet and the controllers of workloads do, where there is anything to do.

        Without a restart, they only say so.
        """
        found = self.deployment()
        if found["metadata"]["generation"] == self._generation:
            return
        self._generation = found["metadata"]["generation"]
        if restart:
            self._restart(container(found, "kube-apiserver")["args"])
        report_ready(self.host, found)

    def _restart(self, args: list[str]) -> None:
        self._server.close()
        secret = self.host.get("Secret", "encryption", self.namespace)
        assert secret
        config = self.folder / "encryption.yaml"
        config.write_bytes(data_of(secret)["encryption.yaml"])
        flags = (
            f"--encryption-provider-config={config}",
            "--allow-privileged=true",
            *(arg for arg in args if SERVICES in arg),
        )
        folder = self.folder / f"api-{self._generation}"
        server = self._server.enter_context(api_server(folder, self.etcd, self.prefix, *flags))
        self.tenant = self._server.enter_context(server.cluster("tenant"))

    @property
    def prefix(self) -> str:
        return f"/{self.name}"

    def fill(self) -> dict[str, Object | None]:
        """Secrets of several namespaces, an immutable one and one that is being deleted among them."""
        assert self.tenant
        for space in ("one", "two"):
            self.tenant.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
            )
        for number in range(SECRETS):
            meta: Object = {"name": f"s-{number}", "namespace": ("one", "two")[number % 2]}
            if number == 1:
                meta["finalizers"] = ["example.com/kept"]
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": meta,
                "immutable": not number,
            }
            self.tenant.create({**secret, "stringData": {"value": f"secret {number}"}})
        self.tenant.delete("Secret", "s-1", "two")
        return self.contents()

    def contents(self) -> dict[str, Object | None]:
        assert self.tenant
        found = self.tenant.list("Secret")
        return {
            f"{s['metadata']['namespace']}/{s['metadata']['name']}": s.get("data") for s in found
        }

    def stored(self) -> Counter[str]:
        """How many Secrets are in etcd under which key."""
        start = f"{self.prefix}/secrets/".encode()
        ends = start[:-1] + bytes([start[-1] + 1])
        asked = {
            "key": base64.b64encode(start).decode(),
            "range_end": base64.b64encode(ends).decode(),
        }
        request = Request(f"{self.etcd}/v3/kv/range", json.dumps(asked).encode())
        with urlopen(request, timeout=30) as answer:
            found = json.load(answer).get("kvs", [])
        values = [base64.b64decode(kv["value"]) for kv in found]
        keys = [STORED.match(value) for value in values]
        return Counter(key[1].decode() if key else "none" for key in keys)

    def key_secrets(self) -> set[str]:
        found = self.host.list("Secret", self.namespace)
        return {s["metadata"]["name"] for s in found if "encryption-key" in s["metadata"]["name"]}

    def condition(self) -> Object:
        found = self.host.get("TenantCluster", self.name, "default")
        assert found
        (made,) = (c for c in found["status"]["conditions"] if c["type"] == "EncryptionReady")
        return dict(made)


@pytest.fixture
def world(
    host: Cluster, etcd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A tenant with Secrets, stored with its first key; its passes have time, however slow the machine is."""
    monkeypatch.setattr(rewrite, "SECONDS", 120.0)
    with ExitStack() as stack:
        made = World(host, etcd, tmp_path, stack)
        made.step()
        made.roll_out()
        made.step()
        yield made
        made.host.patch("TenantCluster", made.name, {"metadata": {"finalizers": []}}, "default")
        made.host.delete("TenantCluster", made.name, "default")
        for space in (made.namespace, made.namespace.replace("kc-", names.NODES_PREFIX)):
            made.host.delete("Namespace", space)


def bring(world: World, *, restart: bool = True) -> list[str]:
    """Pass after pass, each by an engine of its own, until it is done; what was said, once each."""
    said: list[str] = []
    for _ in range(PASSES):
        message = world.step().encryption.message
        if message not in said:
            said.append(message)
        if world.condition()["status"] == "True":
            return said
        world.roll_out(restart=restart)
    pytest.fail(f"it doesn't come to its end: {said}")


def add_and_promote(world: World) -> None:
    """Nothing is read or written between the two, so that one restart is enough."""
    for restart in (False, True):
        world.step()
        world.roll_out(restart=restart)


def test_no_secret_is_left_under_the_old_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.fill()
    total = len(before)
    assert world.stored() == {"key1": total}
    world.ask("2026")

    world.step()  # add
    assert world.key_secrets() == {"encryption-key", "encryption-key-2"}
    assert world.condition()["message"].startswith("step 1 of 4")
    world.step()
    assert world.stored() == {"key1": total}
    world.roll_out()
    assert world.contents() == before

    world.step()  # promote
    assert world.condition()["message"].startswith("step 2 of 4")
    world.roll_out()
    assert world.stored() == {"key1": total}
    assert world.contents() == before

    with monkeypatch.context() as patched:
        patched.setattr(rewrite, "SECONDS", 0.0)
        patched.setattr(rewrite, "AT_ONCE", 10)
        report = world.step()  # rewrite, as far as it comes
    assert report.encryption.message == f"step 3 of 4: Secrets are stored anew, 10 of {total}"
    assert world.stored() == {"key1": total - 10, "key2": 10}
    assert world.contents() == before

    said = bring(world)
    assert [each.partition(":")[0] for each in said] == [
        "step 3 of 4",
        "step 4 of 4",
        "encrypted with key2",
    ]
    assert world.stored() == {"key2": total}
    assert world.key_secrets() == {"encryption-key-2"}
    assert world.contents() == before
    world.step()
    assert world.step().writes == 0


def test_without_the_rewrite_there_are_secrets_left_that_nobody_can_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control run: what the test above looks at can be otherwise."""
    total = len(world.fill())
    world.ask("2026")
    monkeypatch.setattr(rewrite, "store", lambda *_: "")
    add_and_promote(world)
    for _ in range(2):  # rewrite, drop
        world.step()
    monkeypatch.setattr(servers, "START_SECONDS", 30)
    with pytest.raises(pytest.fail.Exception, match="no matching key was found"):
        world.roll_out()
    assert world.stored() == {"key1": total}


def test_a_secret_that_the_tenant_refuses_to_store_keeps_the_old_key(world: World) -> None:
    before = world.fill()
    tenant = world.tenant
    assert tenant
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["secrets"],
    }
    expression = {"expression": "object.metadata.name != 's-7'", "message": "s-7 stays as it is"}
    tenant.apply(
        {
            **kind,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "stays"},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [expression]},
        }
    )
    binding = {"policyName": "stays", "validationActions": ["Deny"]}
    tenant.apply(
        {
            **kind,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "stays"},
            "spec": binding,
        }
    )
    until_refused(tenant)
    world.ask("2026")
    add_and_promote(world)
    world.step()
    found = world.condition()
    assert (found["status"], found["reason"]) == ("False", "RewriteRefused")
    assert "s-7 stays as it is" in found["message"]
    assert world.stored() == {"key1": 1, "key2": len(before) - 1}
    assert world.key_secrets() == {"encryption-key", "encryption-key-2"}
    assert world.tenant
    world.tenant.delete("ValidatingAdmissionPolicyBinding", "stays")
    time.sleep(1.0)
    bring(world, restart=False)
    assert world.stored() == {"key2": len(before)}
    assert world.contents() == before


def until_refused(tenant: Cluster, seconds: float = 20.0) -> None:
    """The policy is in effect."""
    change: dict[str, Any] = {"metadata": {"annotations": {"tried": "true"}}}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            tenant.patch("Secret", "s-7", change, "two")
        except ApiError:
            return
        time.sleep(0.2)
    pytest.fail("the policy is not in effect")
