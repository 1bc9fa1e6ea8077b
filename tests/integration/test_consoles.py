"""Who may open a machine from outside of it: nobody of a tenant, by the rights that a real host was given."""

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from kubeception import names
from kubeception.components.install import Options
from kubeception.components.rbac import account
from kubeception.engine.install import install, install_operator
from kubeception.errors import ApiError
from kubeception.kube import kinds
from kubeception.kube.client import Cluster, Object
from tests.integration.conftest import serve
from tests.integration.operators import until
from tests.integration.servers import ApiServer, binary
from tests.integration.test_install import end, eventually, make, spaces

RBAC: Final = "rbac.authorization.k8s.io"
SUBRESOURCES: Final = "subresources.kubevirt.io"
DOORS: Final = (
    *(
        ("get", SUBRESOURCES, "virtualmachineinstances", each)
        for each in ("console", "vnc", "vnc/screenshot", "usbredir", "portforward", "guestosinfo")
    ),
    *(
        ("update", SUBRESOURCES, "virtualmachineinstances", each)
        for each in ("addvolume", "freeze", "pause", "sev/injectlaunchsecret")
    ),
    *(
        ("update", SUBRESOURCES, "virtualmachines", each)
        for each in ("start", "stop", "restart", "memorydump", "expand-spec")
    ),
    *(("create", "", "pods", each) for each in ("exec", "attach")),
    ("patch", "", "pods", "ephemeralcontainers"),
    ("get", "", "pods", "log"),
)
"""Verb, group, resource, subresource: what shows a machine's screen, or what is in it, or changes its life."""


@dataclass(frozen=True)
class Scene:
    """A host with an operator, and a tenant whose storage driver has an account of the host."""

    server: ApiServer
    host: Cluster
    own: str
    nodes: str

    def may(self, who: str, groups: tuple[str, ...], door: tuple[str, str, str, str]) -> bool:
        """Whether the host's API server would let somebody through this door of the tenant's machines."""
        verb, group, resource, subresource = door
        attributes = {
            "namespace": self.nodes,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        spec = {"user": who, "groups": [*groups], "resourceAttributes": attributes}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        answer = self.host.create({**review, "metadata": {}, "spec": spec})
        return bool(answer["status"]["allowed"])

    def driver(self) -> Cluster:
        """The host for who has the token of the tenant's storage driver."""
        config = self.server.folder / "kubeconfig.consoles"
        config.write_text(json.dumps(self.server.kubeconfig))
        words = ("create", "token", names.STORAGE_ACCOUNT, "-n", self.own)
        kubectl = (binary("kubectl"), f"--kubeconfig={config}", *words)
        token = subprocess.run(kubectl, check=True, capture_output=True, text=True).stdout.strip()
        user = {"name": "it", "user": {"token": token}}
        return Cluster({**self.server.kubeconfig, "users": [user]}, "host")


@pytest.fixture
def scene(lone_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    review = kinds.Kind(
        "SubjectAccessReview",
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        namespaced=False,
    )
    monkeypatch.setitem(kinds.KINDS, review.name, review)
    with lone_server.cluster() as host, lone_server.as_operator() as operator:
        install(host)
        install_operator(host, Options())
        serve(host, "datavolumes", "DataVolume", "cdi.kubevirt.io", "v1beta1")
        offered = {"name": "offered-here", "labels": {names.OFFERED_LABEL: "true"}}
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
        host.apply({**kind, "metadata": offered, "provisioner": "nobody.example.com"})
        eventually(lambda: operator.list("TenantCluster"))
        eventually(lambda: operator.get("ConfigMap", "kubeadm-config", "kube-system"))
        name = f"t-{uuid.uuid4().hex[:8]}"
        classes = [{"name": "volumes", "hostStorageClass": offered["name"]}]
        make(host, operator, name, storage={"classes": classes})
        yield Scene(lone_server, host, *spaces(host, name))
        end(host, operator, name)


def service_account(space: str, name: str) -> tuple[str, tuple[str, ...]]:
    groups = (
        "system:serviceaccounts",
        f"system:serviceaccounts:{space}",
        "system:authenticated",
    )
    return f"system:serviceaccount:{space}:{name}", groups


def identities(scene: Scene) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Who of the host a tenant, or who stole something of it, could be: user and groups."""
    return {
        "the storage driver": service_account(scene.own, names.STORAGE_ACCOUNT),
        "a pod of the control plane": service_account(scene.own, "default"),
        "a machine's pod": service_account(scene.nodes, "default"),
        "the author": ("author", ("system:authenticated",)),
        "nobody": ("system:anonymous", ("system:unauthenticated",)),
        "the operator": (
            names.OPERATOR_USER,
            service_account(names.SYSTEM_NAMESPACE, names.OPERATOR)[1],
        ),
    }


def give(scene: Scene, space: str, name: str, subject: dict[str, str], *rules: Object) -> None:
    """A role of a namespace, and whose it is."""
    meta = {"name": name, "namespace": space}
    head = {"apiVersion": f"{RBAC}/v1", "metadata": meta}
    scene.host.apply({**head, "kind": "Role", "rules": [*rules]})
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    bound = {**head, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    scene.host.apply(bound)


def author(scene: Scene) -> None:
    """Somebody may do everything with TenantClusters and NodePools of a namespace."""
    everything = {"apiGroups": [names.GROUP], "resources": ["*"], "verbs": ["*"]}
    subject = {"apiGroup": RBAC, "kind": "User", "name": "author"}
    give(scene, "default", "author", subject, everything)


@pytest.mark.attack("A19")
def test_no_identity_of_a_tenant_opens_its_machines(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    author(scene)
    known = identities(scene)
    opened = {
        (who, "/".join(door[1:]))
        for who, (user, groups) in known.items()
        for door in DOORS
        if scene.may(user, groups, door)
    }
    assert opened == set()
    record_property("cases", len(known))
    mine = ("create", names.GROUP, "nodepools", "")
    assert not scene.may(*known["the author"], mine), "not even that, among the machines"


@pytest.mark.attack("A19")
def test_no_role_of_ours_leads_to_a_console(scene: Scene) -> None:
    """The storage driver's two are all there is: they plug a disk in."""
    label = names.COMPONENT_LABEL
    roles = [o for kind in ("ClusterRole", "Role") for o in scene.host.list(kind, labels=label)]
    assert {names.OPERATOR, names.TENANT_ROLE, names.STORAGE} <= {
        role["metadata"]["name"] for role in roles
    }
    found = {
        (role["metadata"]["name"], resource)
        for role in roles
        for rule in role["rules"]
        if {SUBRESOURCES, "*"} & {*rule.get("apiGroups", ())}
        for resource in rule["resources"]
    }
    assert found == {
        (names.STORAGE, "virtualmachines/addvolume"),
        (names.STORAGE, "virtualmachines/removevolume"),
    }


@pytest.mark.attack("A19", control="within")
def test_a_console_is_refused_to_who_has_a_token_of_the_host(scene: Scene) -> None:
    """A real request. Nobody serves consoles here: who is let through is told that there is none."""
    console = (
        f"/apis/{SUBRESOURCES}/v1/namespaces/{scene.nodes}/virtualmachineinstances/one/console"
    )
    with scene.driver() as driver:
        with pytest.raises(ApiError, match="forbidden"):
            driver.raw(console)
        resources = ["virtualmachineinstances/console"]
        rule = {"apiGroups": [SUBRESOURCES], "resources": resources, "verbs": ["get"]}
        give(scene, scene.nodes, "console", account(scene.own, names.STORAGE_ACCOUNT), rule)
        user, groups = identities(scene)["the storage driver"]
        door = ("get", SUBRESOURCES, "virtualmachineinstances", "console")
        until(lambda: scene.may(user, groups, door), 20)
        assert driver.raw(console) is None, "with such a role it would be"
