import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.components import machines
from kubeception.components.control_plane import ControlPlane
from kubeception.components.endpoint import Services
from kubeception.components.machines import DONE, DROP_IN, INIT, PKI, machine_bootstrap
from kubeception.plan.bootstrap import JOIN, JOIN_UNIT, UNIT, Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.control_plane import members, pool_of
from kubeception.plan.facts import Object
from tests.plans import applied, case, everything, find, plan

TOKEN = "abcdef.0123456789abcdef"


@pytest.fixture(scope="module")
def ctx() -> PlanContext:
    return case("machines")


def boot(ctx: PlanContext, index: int = 0, token: str = "") -> Bootstrap:
    pool = pool_of(ctx)
    assert pool
    return machine_bootstrap(ctx, pool, members(ctx)[index], token)


def files(made: Bootstrap) -> dict[str, str]:
    return {file.path: file.content for file in made.on_systemd().files}


def documents(made: Bootstrap) -> list[Any]:
    return list(yaml.safe_load_all(files(made)[INIT]))


def test_the_first_makes_the_cluster_with_what_we_say_and_leaves_the_rest_to_us(
    ctx: PlanContext,
) -> None:
    init, cluster, kubelet = documents(boot(ctx))
    assert init["localAPIEndpoint"]["advertiseAddress"] == "192.0.2.20"
    assert {"addon", "bootstrap-token", "upload-config"} <= set(init["skipPhases"])
    assert {"name": "cloud-provider", "value": "external"} in init["nodeRegistration"][
        "kubeletExtraArgs"
    ]
    assert cluster["controlPlaneEndpoint"] == "192.0.2.10:6443"
    assert cluster["networking"]["serviceSubnet"] == ctx.network.service_cidr
    assert kubelet["kind"] == "KubeletConfiguration"


def test_several_take_their_time_to_elect_one_and_one_alone_elects_nobody(
    ctx: PlanContext,
) -> None:
    spec = {"controlPlane": {"provider": "kubevirt"}}
    for made, flag, value in (
        (ctx, "leader-elect-lease-duration", "60s"),
        (plan(spec), "leader-elect", "false"),
    ):
        found = machines.cluster_configuration(made)
        for part in ("controllerManager", "scheduler"):
            assert {"name": flag, "value": value} in found[part]["extraArgs"]
    several, one = (
        {each["name"] for each in machines.cluster_configuration(c)["etcd"]["local"]["extraArgs"]}
        for c in (ctx, plan(spec))
    )
    assert several - one == {"election-timeout", "heartbeat-interval"}


def test_it_does_so_once_and_in_place_of_a_workers_unit(ctx: PlanContext) -> None:
    disk = boot(ctx).on_systemd()
    (unit,) = [file.content for file in disk.files if file.path == UNIT.format(JOIN_UNIT)]
    assert f"ExecStart=kubeadm init --config {INIT}" in unit
    assert f"ConditionPathExists=!{DONE}" in unit
    assert f"touch {DONE}" in unit
    assert JOIN_UNIT in disk.commands[-1]


def test_machines_that_come_later_read_the_same(ctx: PlanContext) -> None:
    objects = everything(ctx)
    found = find(objects, "ConfigMap", "kubeadm-config")["data"]["ClusterConfiguration"]
    assert yaml.safe_load(found) == documents(boot(ctx))[1]


def test_the_keys_are_the_tenants_and_only_root_reads_them(ctx: PlanContext) -> None:
    made = {file.path: file for file in boot(ctx).files}
    assert made[f"{PKI}/ca.crt"].content == ctx.pki.ca("serving").cert.decode()
    assert made[f"{PKI}/etcd/ca.key"].content == ctx.pki.ca("etcd").key.decode()
    for path, file in made.items():
        if path.endswith(".key") or "PRIVATE KEY" in file.content or "secretbox" in file.content:
            assert file.mode == "0600", path


def test_no_key_is_in_a_unit_or_on_a_command_line(ctx: PlanContext) -> None:
    for made in (boot(ctx), boot(ctx, 1, TOKEN)):
        disk = made.on_systemd()
        said = [
            *(" ".join(c) for c in disk.commands),
            *(c for p, c in files(made).items() if "systemd" in p),
        ]
        assert not [text for text in said if "PRIVATE" in text or TOKEN in text]


def test_those_who_show_a_certificate_of_the_tenants_own_clients_are_known(
    ctx: PlanContext,
) -> None:
    clients = files(boot(ctx))[f"{PKI}/clients.crt"]
    assert ctx.pki.ca("client").cert.decode() in clients
    assert ctx.pki.ca("serving").cert.decode() in clients


def test_one_that_comes_later_joins_with_a_token_as_a_member(ctx: PlanContext) -> None:
    made = files(boot(ctx, 1, TOKEN))
    join = json.loads(made[JOIN])
    assert join["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] == "192.0.2.21"
    assert TOKEN in made["/etc/kubernetes/discovery.conf"]
    assert INIT not in made
    assert f"ExecStart=kubeadm join --config {JOIN}" in made[UNIT.format(JOIN_UNIT)]


def test_a_guest_has_the_addresses_it_is_known_by(ctx: PlanContext) -> None:
    first, later = files(boot(ctx))[DROP_IN], files(boot(ctx, 1, TOKEN))[DROP_IN]
    assert "for address in 192.0.2.20 192.0.2.10; do" in first
    assert "192.0.2.21" in later
    assert "192.0.2.10" not in later, "it would ask itself for what only others know"


def test_nothing_of_it_is_pods_of_the_host(ctx: PlanContext) -> None:
    kinds = {
        obj["kind"] for obj in everything(ctx) if "kc-" in obj["metadata"].get("namespace", "")
    }
    assert kinds == {"LimitRange", "NetworkPolicy", "Secret", "Service"}
    assert not [c.name for c, objects in applied(ctx) if c.name == "konnectivity-agent" and objects]


def vm(
    ctx: PlanContext, index: int, *, joined: bool = False, phase: str = "Running"
) -> list[Object]:
    name = members(ctx)[index].name
    meta: Object = {"name": name, "namespace": ctx.nodes_namespace}
    both = (names.INSTANCE_ANNOTATION, names.MEMBER_ANNOTATION)
    marks = dict.fromkeys(both, f"g{index}") if joined else {}
    status = {"phase": phase, "interfaces": [{"name": "default", "ipAddress": f"10.0.0.{index}"}]}
    guest = {"kind": "VirtualMachineInstance", "metadata": {**meta, "uid": f"g{index}"}}
    return [
        {"kind": "VirtualMachine", "metadata": {**meta, "annotations": marks}},
        {**guest, "status": status},
    ]


def having(ctx: PlanContext, *objects: Object) -> PlanContext:
    return replace(ctx, facts=ctx.facts.with_objects(objects))


def test_an_endpoint_slice_leads_to_where_they_run(ctx: PlanContext) -> None:
    there = having(ctx, *vm(ctx, 0, joined=True), *vm(ctx, 1))
    found = list(Services().objects(there))
    shared, own = (find(found, "EndpointSlice", n) for n in ("kube-apiserver", "control-plane-1"))
    assert [each["addresses"] for each in shared["endpoints"]] == [["10.0.0.0"]]
    assert [each["addresses"] for each in own["endpoints"]] == [["10.0.0.1"]]
    assert shared["metadata"]["namespace"] == ctx.namespace


def test_it_is_ready_when_each_machine_is_a_member(ctx: PlanContext) -> None:
    waiting = ControlPlane().ready(ctx, {})
    assert not waiting.ok
    assert waiting.message == (
        "0/3 machines, waits for machine machines-control-plane-0, which has not been made yet"
    )
    some = ControlPlane().ready(having(ctx, *vm(ctx, 0, joined=True), *vm(ctx, 1)), {})
    assert some.message.startswith("1/3 machines, waits for machine machines-control-plane-1")
    assert "boots" in some.message
    all_of = [obj for index in range(3) for obj in vm(ctx, index, joined=True)]
    assert ControlPlane().ready(having(ctx, *all_of), {}).ok


def test_the_end_of_a_machine_is_said_and_what_it_means(ctx: PlanContext) -> None:
    lost = having(ctx, *vm(ctx, 0, joined=True, phase="Failed"))
    found = ControlPlane().ready(lost, {})
    assert found.reason == "MachineLost"
    assert "remove its member from etcd" in found.message
    spec = ctx.spec.model_copy(
        update={"control_plane": ctx.spec.control_plane.model_copy(update={"replicas": 1})}
    )
    alone = replace(lost, cluster=ctx.cluster.model_copy(update={"spec": spec}))
    assert "is lost with its disk" in ControlPlane().ready(alone, {}).message
