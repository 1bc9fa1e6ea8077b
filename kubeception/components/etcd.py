"""The tenant's own etcd: one member, on a volume where there is one."""

from collections.abc import Iterator, Mapping
from typing import Any

from kubeception.components.base import Component, Readiness, deployment_ready
from kubeception.errors import SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import ETCD_SERVICE, cluster_ip
from kubeception.plan.facts import Key, Object
from kubeception.plan.quantity import octets


class Etcd(Component):
    """A StatefulSet, reached by its Service's address: a name that doesn't resolve yet costs half a minute."""

    name = "etcd"
    needs = ("roots", "endpoint")
    title = "Datastore"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.spec.control_plane.in_machines:
            return
        yield from ctx.pki.leaves("etcd")
        statefulset = ctx.manifest(
            "etcd/statefulset.yaml.j2",
            labels=ctx.labels(self.name),
            address=cluster_ip(ctx.facts, ctx.namespace, ETCD_SERVICE),
            # Half of the volume: the other half is for the write-ahead log and snapshots.
            quota=octets(ctx.spec.datastore.size) // 2,
        )
        if claim := volume_claim(ctx):
            statefulset["spec"]["volumeClaimTemplates"] = [claim]
        else:
            volumes = statefulset["spec"]["template"]["spec"]["volumes"]
            volumes.append({"name": "data", "emptyDir": {"sizeLimit": ctx.spec.datastore.size}})
        yield statefulset

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        if ctx.spec.control_plane.in_machines:
            return Readiness.ready("in the machines of the control plane")
        return deployment_ready(seen.get(("StatefulSet", ctx.namespace, "etcd")))


def volume_claim(ctx: PlanContext) -> dict[str, Any] | None:
    """The volume claim, or None for a datastore that lives and dies with its pod.

    What was decided when the StatefulSet was made stands, whatever has become of the host's StorageClasses.

    Raises SpecError when a volume is asked for that the host can't give.
    """
    datastore = ctx.spec.datastore
    storage_class, size = datastore.storage_class_name, datastore.size
    if existing := ctx.seen("StatefulSet", "etcd"):
        claims = existing["spec"].get("volumeClaimTemplates")
        if not claims:
            return None
        storage_class = claims[0]["spec"].get("storageClassName")
        size = claims[0]["spec"]["resources"]["requests"]["storage"]
    elif datastore.storage == "Ephemeral":
        return None
    else:
        storage_class = storage_class or ctx.facts.host.default_storage_class
        if not storage_class and datastore.storage == "Auto":
            return None
        if not storage_class:
            raise SpecError(
                ["spec.datastore.storage: Persistent, but the host has no default StorageClass"],
                what=f"TenantCluster {ctx.cluster.name}",
                hint="Name one as spec.datastore.storageClassName, or ask for Ephemeral.",
            )
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
        },
    }
