"""What `lab up` says of add-ons that don't come up."""

import uuid

from kubeception.kube.client import Cluster
from kubeception.lab.addons import unready_workloads

LABELS = {"app": "dns"}
CONTAINER = {"name": "dns", "image": "registry.example/dns:none"}
STATUS = {
    **CONTAINER,
    "imageID": "",
    "ready": False,
    "restartCount": 0,
    "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
}


def test_a_workload_that_is_not_up_is_named_with_its_cause(host: Cluster) -> None:
    space = f"addons-{uuid.uuid4().hex[:8]}"
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    account = {"name": "default", "namespace": space}
    host.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    meta = {"name": "dns", "namespace": space, "labels": LABELS}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
    spec = {"selector": {"matchLabels": LABELS}, "template": template}
    host.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    host.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})
    status = {"phase": "Pending", "containerStatuses": [STATUS]}
    host.patch("Pod", "dns", {"status": status}, space, subresource="status")
    assert unready_workloads(host, [space]) == [
        f"Deployment {space}/dns",
        "pod dns: image registry.example/dns:none of container dns: ImagePullBackOff: no such image",
    ]
    host.delete("Namespace", space)
