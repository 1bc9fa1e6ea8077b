"""The operator's installation on a real API server: what is written, what its account may do and what it may not."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeception import names
from kubeception.cli.host import Host
from kubeception.cli.nesting import check_order, furnish
from kubeception.components.install import VERSION_LABEL, Options, tenant_access
from kubeception.components.rbac import account
from kubeception.engine import install as installation
from kubeception.engine.install import (
    check,
    chosen,
    install,
    install_operator,
    installed_version,
    uninstall,
    uninstall_operator,
)
from kubeception.engine.reconcile import Engine
from kubeception.errors import ApiError, KubeceptionError
from kubeception.kube.client import Cluster, Object
from kubeception.plan.images import of_release
from kubeception.plan.versions import image
from tests.integration.conftest import serve
from tests.integration.servers import ApiServer

GONE_SECONDS = 60
REFUSED_SECONDS = 10
"""By then a change of rights and of policies is in force."""
PROBE = "kc-probe"
POLICIES = "ValidatingAdmissionPolicyBinding"


@pytest.fixture(scope="module")
def server(lone_server: ApiServer) -> ApiServer:
    return lone_server


@pytest.fixture
def admin(server: ApiServer) -> Iterator[Cluster]:
    """The host with the operator's objects."""
    with server.cluster() as cluster:
        install(cluster)
        install_operator(cluster, Options())
        yield cluster


@pytest.fixture
def operator(server: ApiServer, admin: Cluster) -> Iterator[Cluster]:  # installed first
    """The host as the operator sees it, once its rights and the policies are in force."""
    with server.as_operator() as cluster:
        until_refused(lambda: cluster.list("Secret", "kube-system"))
        for obj in (namespace("probe"), binding("kube-system")):
            until_refused(
                lambda obj=obj: cluster.apply(obj, dry_run=True),  # type: ignore[misc]
                by="denied request",
            )
        admin.apply(namespace(PROBE, **{names.CLUSTER_LABEL: "probe"}))
        admin.apply(binding(PROBE))
        good = naming((PROBE, PROBE), image("etcd"))["container"]
        eventually(lambda: cluster.apply(good, dry_run=True))
        yield cluster


@pytest.fixture
def tenant(admin: Cluster, operator: Cluster) -> str:
    """A tenant without nodes that the operator's account has made; the tests share it."""
    name = "shared"
    if admin.get("TenantCluster", name, "default") is None:
        make(admin, operator, name)
    with Engine(operator, "default", name) as engine:
        engine.step()  # with an operator that is uninstalled its rights go, too
    return name


def make(admin: Cluster, operator: Cluster, name: str, **more: Any) -> None:
    """Have the operator's account make a tenant."""
    spec = {"datastore": {"storage": "Ephemeral"}, **more}
    meta = {"name": name, "namespace": "default"}
    kind = {"apiVersion": names.API_VERSION, "kind": "TenantCluster"}
    admin.apply({**kind, "metadata": meta, "spec": spec})
    with Engine(operator, "default", name) as engine:
        report = engine.step()
    assert report.failures == []
    assert report.writes > 20


def end(admin: Cluster, operator: Cluster, name: str) -> None:
    """Have it end one, until nothing is left."""
    if not admin.delete("TenantCluster", name, "default"):
        return
    ended = time.monotonic() + GONE_SECONDS
    with Engine(operator, "default", name) as engine:
        while not engine.step().ready:
            assert time.monotonic() < ended
            time.sleep(0.2)
    assert admin.get("TenantCluster", name, "default") is None
    assert not [s for s in admin.list("Namespace") if f"-{name}-" in s["metadata"]["name"]]


def spaces(host: Cluster, name: str) -> tuple[str, str]:
    found = host.get("TenantCluster", name, "default")
    assert found
    uid = found["metadata"]["uid"]
    return names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name)


def namespace(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def binding(space: str, **changes: Any) -> Object:
    """The operator's RoleBinding under another name."""
    found = {**tenant_access(space), **changes}
    return {**found, "metadata": {"name": "thief", "namespace": space}}


def test_installing_again_changes_nothing(server: ApiServer, admin: Cluster) -> None:
    before = server.writes()
    install(admin)
    install_operator(admin, chosen(admin, None, None))
    assert server.writes() == before


def test_what_this_release_does_not_declare_is_removed(admin: Cluster) -> None:
    old = admin.get("ClusterRole", names.OPERATOR)
    assert old
    meta = {"labels": old["metadata"]["labels"], "annotations": old["metadata"]["annotations"]}
    for name in ("kubeception-of-an-earlier-release", "somebody-elses"):
        labelled = meta if "earlier" in name else {}
        admin.apply({**old, "metadata": {**labelled, "name": name}})
    install_operator(admin, Options())
    assert admin.get("ClusterRole", "kubeception-of-an-earlier-release") is None
    assert admin.get("ClusterRole", "somebody-elses")


def test_replicas_stay_and_an_older_release_is_refused(
    admin: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_operator(admin, Options(replicas=2))
    assert chosen(admin, None, None).replicas == 2
    assert chosen(admin, None, 1).replicas == 1
    check(admin)
    labels = {"metadata": {"labels": {VERSION_LABEL: "99.0.0"}}}
    admin.patch("Deployment", names.OPERATOR, labels, names.SYSTEM_NAMESPACE)
    with pytest.raises(KubeceptionError, match=r"99\.0\.0 is installed"):
        check(admin)
    install_operator(admin, Options())
    check(admin)
    monkeypatch.setattr(installation, "OLDEST_HOST", 99)
    with pytest.raises(KubeceptionError, match=r"needs 1\.99"):
        check(admin)


def test_an_operator_is_not_newer_than_the_nearest_one_above_it(
    admin: Cluster, host: Cluster
) -> None:
    outer = Host(admin, "", "lab")
    team = Host(host, "", "lab", outer, "default", "team")  # without an operator
    test = Host(host, "", "lab", team, "default", "test")

    def release(version: str) -> None:
        labels = {"metadata": {"labels": {VERSION_LABEL: version}}}
        admin.patch("Deployment", names.OPERATOR, labels, names.SYSTEM_NAMESPACE)

    check_order(test)
    release("99.0.0")
    check_order(test)
    release("0.0.1")
    check_order(outer)
    with pytest.raises(
        KubeceptionError, match=r"team/test: release .* newer .* lab.*0\.0\.1"
    ) as caught:
        check_order(test)
    assert caught.value.hint.endswith(": kubeception upgrade")
    with pytest.raises(KubeceptionError, match=r"^team: release"):
        furnish(team, [], None)
    assert installed_version(host) == "", "nothing was begun"
    install_operator(admin, Options())


def test_kinds_stored_in_a_version_this_release_lacks_are_refused(admin: Cluster) -> None:
    name = f"tenantclusters.{names.GROUP}"

    def store(*versions: str) -> None:
        status = {"status": {"storedVersions": [*versions]}}
        admin.patch("CustomResourceDefinition", name, status, subresource="status")

    found = admin.get("CustomResourceDefinition", name)
    assert found
    [version] = found["spec"]["versions"]
    two = [{**version, "name": "v1alpha0", "storage": False}, version]
    admin.patch("CustomResourceDefinition", name, {"spec": {"versions": two}})
    store("v1alpha0", "v1alpha1")
    with pytest.raises(KubeceptionError, match="stored as v1alpha0"):
        check(admin)
    store("v1alpha1")
    check(admin)
    install(admin)


def test_the_operator_makes_and_ends_a_tenant_with_its_own_rights(
    admin: Cluster, operator: Cluster
) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    make(admin, operator, name, budget={"cpu": "1", "loadBalancers": 1})
    for space in spaces(admin, name):
        assert admin.get("RoleBinding", names.OPERATOR, space)
        assert admin.get("ResourceQuota", "budget", space)
        assert admin.get("LimitRange", "requests", space)
    with Engine(operator, "default", name) as engine:
        engine.step()
        assert engine.step().writes == 0
    end(admin, operator, name)


def test_the_operator_gives_storage_drivers_their_rights_and_ends_them(
    admin: Cluster, operator: Cluster
) -> None:
    serve(admin, "datavolumes", "DataVolume", "cdi.kubevirt.io", "v1beta1")
    offered = {"name": "offered-by-admin", "labels": {names.OFFERED_LABEL: "true"}}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    admin.apply({**kind, "metadata": offered, "provisioner": "nobody.example.com"})
    name = f"t-{uuid.uuid4().hex[:8]}"
    classes = [{"name": "volumes", "hostStorageClass": offered["name"]}]
    make(admin, operator, name, storage={"classes": classes})
    own, nodes = spaces(admin, name)
    assert admin.get("RoleBinding", names.STORAGE, nodes)
    assert admin.get("Deployment", names.STORAGE_ACCOUNT, own)
    spec = {"datastore": {"storage": "Ephemeral"}, "storage": {"classes": []}}
    admin.patch("TenantCluster", name, {"spec": spec}, "default")
    with Engine(operator, "default", name) as engine:
        assert engine.step().failures == []
    assert admin.get("RoleBinding", names.STORAGE, nodes) is None
    assert admin.get("ServiceAccount", names.STORAGE_ACCOUNT, own) is None
    end(admin, operator, name)
    admin.delete("StorageClass", "offered-by-admin")


def test_a_tenant_that_was_made_without_an_operator_is_taken_over(
    admin: Cluster, operator: Cluster, tenant: str
) -> None:
    for space in spaces(admin, tenant):
        admin.patch("RoleBinding", names.OPERATOR, {"metadata": {"finalizers": []}}, space)
        admin.delete("RoleBinding", names.OPERATOR, space)
    keys = [o["metadata"]["uid"] for o in admin.list("Secret", spaces(admin, tenant)[0])]
    with Engine(operator, "default", tenant) as engine:
        assert engine.step().failures == []
    assert [o["metadata"]["uid"] for o in admin.list("Secret", spaces(admin, tenant)[0])] == keys


@pytest.mark.attack("A26")
def test_the_operator_sees_nothing_of_others(operator: Cluster) -> None:
    for kind, where in (
        ("Secret", ""),
        ("Secret", "kube-system"),
        ("Secret", names.SYSTEM_NAMESPACE),
        ("ConfigMap", "kube-system"),
        ("Pod", "kube-system"),
    ):
        with pytest.raises(ApiError, match="forbidden"):
            operator.list(kind, where)
    with pytest.raises(ApiError, match="forbidden"):
        operator.apply(
            binding(
                "kube-system",
                roleRef={
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
            )
        )
    with pytest.raises(ApiError, match="forbidden"):
        operator.delete(POLICIES, f"{names.OPERATOR}-namespaces")


def of_driver(space: str, subject: dict[str, str]) -> Object:
    """The binding of a storage driver's role."""
    role = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": names.STORAGE,
    }
    found = binding(space, roleRef=role, subjects=[subject])
    return {**found, "metadata": {"name": "thief-of-disks", "namespace": space}}


def trespasses(admin: Cluster, tenant: str, foreign: str) -> dict[str, Callable[[Cluster], object]]:
    """What a stolen token of the operator would be good for, by its RBAC alone."""
    own, nodes = spaces(admin, tenant)
    ours = {names.CLUSTER_LABEL: "feedfeedfeedfeed"}
    merge = {"metadata": {"labels": ours}}
    lax = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    thief = binding(own, subjects=[account(own, "default")])
    driver = account(own, names.STORAGE_ACCOUNT)
    return {
        "bind in kube-system": lambda who: who.apply(binding("kube-system")),
        "bind to another": lambda who: who.apply(thief),
        "give a storage driver's rights to another": lambda who: who.apply(
            of_driver(nodes, account(own, "default"))
        ),
        "give a storage driver rights in a control plane": lambda who: who.apply(
            of_driver(own, driver)
        ),
        "call kube-system a tenant's": lambda who: who.patch("Namespace", "kube-system", merge),
        "call a foreign kc- namespace a tenant's": lambda who: who.patch(
            "Namespace", foreign, merge
        ),
        "make a namespace": lambda who: who.apply(namespace("mine")),
        "make a namespace with our label": lambda who: who.apply(namespace("mine", **ours)),
        "take the guard from a tenant's": lambda who: who.patch("Namespace", own, lax),
        "end a foreign namespace": lambda who: who.delete("Namespace", foreign),
    }


def answer(do: Callable[[Cluster], object], who: Cluster) -> str:
    """Why somebody may not do it; empty where it is done."""
    try:
        do(who)
    except ApiError as error:
        return error.message
    return ""


@pytest.mark.attack("A26")
def test_policies_stop_what_rights_allow(
    admin: Cluster,
    operator: Cluster,
    tenant: str,
    record_property: Callable[[str, object], None],
) -> None:
    admin.apply(namespace("kc-foreign"))
    found = {
        what: answer(do, operator) for what, do in trespasses(admin, tenant, "kc-foreign").items()
    }
    record_property("cases", len(found))
    assert [what for what, said in found.items() if "denied request" not in said] == []
    with pytest.raises(ApiError, match="forbidden"):
        operator.list("Secret", "kube-system")


@pytest.mark.attack("A26", control=True)
def test_without_the_policies_all_of_it_would_succeed(
    admin: Cluster,
    operator: Cluster,
    tenant: str,
    record_property: Callable[[str, object], None],
) -> None:
    """The control run: the test above fails when the policies do nothing."""
    for kind in ("namespaces", "role-bindings"):
        admin.delete(POLICIES, f"{names.OPERATOR}-{kind}")
    admin.apply(namespace("kc-another"))  # what ends here would be refused to nobody
    eventually(lambda: operator.apply(binding("kube-system")))
    eventually(lambda: operator.list("Secret", "kube-system"))
    trespassed = trespasses(admin, tenant, "kc-another")
    del trespassed["call kube-system a tenant's"]
    for trespass in trespassed.values():
        eventually(lambda trespass=trespass: trespass(operator))  # type: ignore[misc]
    record_property("cases", len(trespassed))
    for where in ("kube-system", *spaces(admin, tenant)):
        admin.delete("RoleBinding", "thief", where)
        admin.delete("RoleBinding", "thief-of-disks", where)
    admin.delete("Namespace", "mine")


FOREIGN = (
    {"externalIPs": ["198.51.100.1"], "ports": [{"port": 443}]},
    {"loadBalancerIP": "198.51.100.1", "type": "LoadBalancer", "ports": [{"port": 443}]},
    {"externalName": "kubernetes.default", "type": "ExternalName"},
)
"""Services that take, ask for, or stand for what is another's."""


def service(space: str, **spec: Any) -> Object:
    meta = {"name": "thief", "namespace": space}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


@pytest.mark.attack("A12", control="within")
@pytest.mark.parametrize("spec", FOREIGN, ids=lambda spec: next(iter(spec)))
def test_no_service_of_a_tenants_namespace_means_anothers_address(
    admin: Cluster, tenant: str, spec: dict[str, Any]
) -> None:
    asked = [service(space, **spec) for space in spaces(admin, tenant)]
    for obj in asked:
        refusal = "Services in namespaces of tenants"
        until_refused(lambda obj=obj: admin.apply(obj, dry_run=True), refusal)  # type: ignore[misc]
    for space in spaces(admin, tenant):
        assert admin.apply(service(space, ports=[{"port": 443}]), dry_run=True)
    assert admin.apply(service("default", **spec), dry_run=True), "elsewhere nobody minds"


STRANGE = "evil.example/a:1"


def naming(space: tuple[str, str], reference: str) -> dict[str, Object]:
    """Objects of a tenant's namespaces, by where they name an image."""
    own, nodes = space
    labels = {"a": "b"}

    def workload(**pod: Any) -> Object:
        good = [{"name": "c", "image": image("etcd")}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": good, **pod}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        meta = {"name": "named", "namespace": own}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}

    def machine(template: Object, **spec: Any) -> Object:
        meta = {"name": "named", "namespace": nodes}
        body = {"template": {"spec": {"domain": {}, **template}}, **spec}
        return {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": meta,
            "spec": body,
        }

    boot = {"firmware": {"kernelBoot": {"container": {"image": reference}}}}
    volume = {"spec": {"source": {"registry": {"url": f"docker://{reference}"}}}}
    return {
        "container": workload(containers=[{"name": "c", "image": reference}]),
        "init container": workload(initContainers=[{"name": "i", "image": reference}]),
        "disk": machine({"volumes": [{"name": "d", "containerDisk": {"image": reference}}]}),
        "kernel": machine({"domain": boot}),
        "root disk": machine({}, dataVolumeTemplates=[volume]),
    }


@pytest.mark.attack("A21", control="within")
def test_of_images_that_nobody_allowed_nothing_is_made_in_namespaces_of_tenants(
    admin: Cluster,
    operator: Cluster,
    tenant: str,
    record_property: Callable[[str, object], None],
) -> None:
    serve(admin, "virtualmachines", "VirtualMachine")
    here, refusal = spaces(admin, tenant), "no administrator allowed"
    asked = naming(here, STRANGE)
    record_property("cases", len(asked))
    for obj in asked.values():
        until_refused(lambda obj=obj: operator.apply(obj, dry_run=True), refusal)  # type: ignore[misc]
    for obj in naming(here, image("node-disk")).values():
        assert operator.apply(obj, dry_run=True)

    install_operator(admin, Options(allowed=("evil.example",)))
    assert chosen(admin, None, None).allowed == ("evil.example",), "it stays as it is"
    for obj in asked.values():
        eventually(lambda obj=obj: operator.apply(obj, dry_run=True))  # type: ignore[misc]
    there = operator.apply(asked["disk"])

    install_operator(admin, Options())
    until_refused(lambda: operator.apply(asked["container"], dry_run=True), refusal)
    there["metadata"] = {"name": "named", "namespace": here[1], "labels": {"x": "y"}}
    assert operator.apply(there), "what was there can be worked with"
    admin.delete("VirtualMachine", "named", here[1])


def test_where_there_are_digests_no_image_goes_without(
    admin: Cluster, operator: Cluster, tenant: str
) -> None:
    here, sha = spaces(admin, tenant), f"sha256:{'0' * 64}"
    pins = tuple(f"{reference}@{sha}" for reference in of_release())
    install_operator(admin, Options(digests=pins))
    tagged = naming(here, image("etcd"))["container"]
    until_refused(lambda: operator.apply(tagged, dry_run=True), "images without a digest")
    pinned = naming(here, f"{image('etcd')}@{sha}")["container"]
    pinned["spec"]["template"]["spec"]["containers"][0]["name"] = "c"
    assert operator.apply(pinned, dry_run=True)
    with Engine(operator, "default", tenant) as engine:
        assert engine.step().failures == []
    etcd = admin.get("StatefulSet", "etcd", here[0])
    assert etcd
    assert etcd["spec"]["template"]["spec"]["containers"][0]["image"] == f"{image('etcd')}@{sha}"
    install_operator(admin, Options())
    with Engine(operator, "default", tenant) as engine:
        eventually(lambda: not engine.step().failures)


def eventually(do: Callable[[], object], tries: int = 100) -> None:
    """A change of policy or rights takes a moment."""
    for left in reversed(range(tries)):
        try:
            do()
        except ApiError:
            if not left:
                raise
            time.sleep(0.1)
        else:
            return


def until_refused(do: Callable[[], object], by: str = "") -> None:
    """Wait until it isn't allowed any more, and says so; what it does must leave nothing.

    A policy's refusal says other words than that of rights which haven't come yet.
    """
    ended, last = time.monotonic() + REFUSED_SECONDS, "it is allowed"
    while time.monotonic() < ended:
        try:
            do()
        except ApiError as error:
            last = error.message
            if error.status in (403, 422) and by in last:
                return
        time.sleep(0.1)
    raise AssertionError(f"after {REFUSED_SECONDS} s: {last}")


def test_uninstall_leaves_nothing(admin: Cluster, operator: Cluster) -> None:
    end(admin, operator, "shared")
    uninstall_operator(admin)
    assert left(admin, f"{names.COMPONENT_LABEL}=operator") == []
    assert admin.get("CustomResourceDefinition", f"tenantclusters.{names.GROUP}")
    uninstall(admin)
    assert left(admin, names.COMPONENT_LABEL) == []


def left(host: Cluster, labels: str) -> list[Object]:
    """What of an installation is in the host."""
    kinds = (*installation.OPERATOR_KINDS, "CustomResourceDefinition", "PriorityClass")
    return [obj for kind in kinds for obj in host.list(kind, labels=labels)]


def test_tenants_outlive_the_operator(server: ApiServer, admin: Cluster, tenant: str) -> None:
    own, nodes = spaces(admin, tenant)
    uninstall_operator(admin)
    for space in (own, nodes):
        assert admin.get("RoleBinding", names.OPERATOR, space) is None
        assert admin.get("Namespace", space)
    with server.cluster() as cli, Engine(cli, "default", tenant) as engine:
        assert engine.step().failures == []
        assert cli.get("RoleBinding", names.OPERATOR, own) is None
    install_operator(admin, Options())
