"""Facts for rendering without a cluster: what a host would have answered, with documentation addresses (RFC 5737)."""

from datetime import datetime
from typing import Final

from kubeception import names
from kubeception.api.v1alpha1 import TenantCluster
from kubeception.plan.control_plane import service_of
from kubeception.plan.endpoint import API_PORT, API_SERVICE, ETCD_SERVICE, TUNNEL_PORT
from kubeception.plan.facts import Facts, HostFacts, Object

NODE_ADDRESS: Final = "203.0.113.10"
API_ADDRESS: Final = "192.0.2.10"
ETCD_ADDRESS: Final = "192.0.2.11"
MACHINE_ADDRESS: Final = "192.0.2.2{}"
LOAD_BALANCER_ADDRESS: Final = "198.51.100.10"
GUARDS: Final = (names.ALLOW_INFRA_CLUSTERS, names.ALLOW_POD_NODES, names.ALLOW_SSH_NODES)


def offline_facts(cluster: TenantCluster, now: datetime) -> Facts:
    """The facts of a host that exists only on paper: one node, a default StorageClass, Services with addresses."""
    namespace = names.control_plane_namespace(cluster.metadata.uid, cluster.name)
    host = HostFacts(
        version=cluster.spec.version,
        pod_cidrs=("10.244.0.0/16",),
        service_cidrs=("10.96.0.0/12",),
        node_addresses=(NODE_ADDRESS,),
        default_storage_class="standard",
        offered_classes=tuple(c.host_storage_class for c in cluster.spec.storage.classes),
        data_volumes=True,
    )
    api = _service(namespace, API_SERVICE, API_ADDRESS, {API_PORT: 30443, TUNNEL_PORT: 30132})
    api["status"] = {"loadBalancer": {"ingress": [{"ip": LOAD_BALANCER_ADDRESS}]}}
    etcd = _service(namespace, ETCD_SERVICE, ETCD_ADDRESS, {})
    wanted = cluster.spec.control_plane
    machines = [
        _service(namespace, service_of(index), MACHINE_ADDRESS.format(index), {})
        for index in range(wanted.replicas if wanted.in_machines else 0)
    ]
    return Facts(now, host).with_objects([api, etcd, *machines, _home(cluster)])


def _home(cluster: TenantCluster) -> Object:
    """The namespace of the TenantCluster, where everything is allowed."""
    meta = {
        "name": cluster.namespace,
        "labels": dict.fromkeys(GUARDS, "true"),
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def _service(namespace: str, name: str, address: str, node_ports: dict[int, int]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": address,
            "ports": [{"port": port, "nodePort": node} for port, node in node_ports.items()],
        },
    }
