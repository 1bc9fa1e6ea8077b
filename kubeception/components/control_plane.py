"""kube-apiserver, kube-controller-manager, kube-scheduler and the konnectivity server: one pod, one start.

Where the control plane is machines, they are made as workers are, and nothing of it is here but how far they are.
"""

from collections.abc import Iterator, Mapping

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components import admission, authentication, members
from kubeception.components.base import Awaited, Component, Readiness, deployment_ready
from kubeception.components.encryption import order, secret
from kubeception.plan import inflight
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import container, restart_on_change, set_args
from kubeception.plan.encryption import FIRST
from kubeception.plan.endpoint import API_PORT, ETCD_SERVICE, TUNNEL_PORT, cluster_ip
from kubeception.plan.facts import Key, Object
from kubeception.plan.network import NODE_PREFIX6
from kubeception.plan.render import document
from kubeception.plan.versions import WITHOUT_PORTWORX, minor

FILES = ("egress-selector.yaml", "kubeconfig.yaml")
READERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "konnectivity-server")


class ControlPlane(Component):
    """A Deployment of one pod in which kube-apiserver comes first."""

    name = "control-plane"
    needs = ("roots", "endpoint")
    title = "Control plane"

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.spec.control_plane.in_machines:
            return
        audited = ctx.spec.control_plane.audit.level != "None"
        guarded = admission.has_policies(ctx.spec.version)
        files = (*FILES, *["audit-policy.yaml"] * audited, *[admission.POLICIES] * guarded)
        data = {authentication.FILE: document(authentication.configuration(ctx))}
        data |= {
            file: document(ctx.manifest(f"control-plane/{file}.j2", api_port=API_PORT))
            for file in files
        }
        data[admission.FILE] = document(admission.configuration(ctx.spec.version))
        yield ctx.manifest("control-plane/configmap.yaml.j2", data=data)
        yield secret(ctx)
        yield from ctx.pki.leaves(*READERS)

        deployment = ctx.manifest(
            "control-plane/deployment.yaml.j2",
            labels=ctx.labels(self.name),
            api_port=API_PORT,
            tunnel_port=TUNNEL_PORT,
            etcd=cluster_ip(ctx.facts, ctx.namespace, ETCD_SERVICE),
            issuer=f"https://{ctx.id}.{names.GROUP}",
            admission=admission,
        )
        if audited:
            policy = "/etc/kubernetes/audit-policy.yaml"
            set_args(
                deployment,
                "kube-apiserver",
                {"audit-log-path": "-", "audit-policy-file": policy},
            )
        if guarded:
            gate = {"feature-gates": "ManifestBasedAdmissionControlConfig=true"}
            set_args(deployment, "kube-apiserver", gate)
        if minor(ctx.spec.version) < WITHOUT_PORTWORX:
            unregistered = {"feature-gates": "InTreePluginPortworxUnregister=true"}
            set_args(deployment, "kube-controller-manager", unregistered)
        if ctx.network.dual:
            mask = {"node-cidr-mask-size-ipv6": str(NODE_PREFIX6)}
            set_args(deployment, "kube-controller-manager", mask)
        at_once = inflight.limits(
            container(deployment, "kube-apiserver"), deployment["spec"]["replicas"]
        )
        set_args(deployment, "kube-apiserver", at_once)
        set_args(deployment, "kube-apiserver", ctx.spec.control_plane.api_server.extra_args)
        tunnel = ctx.pki.leaf("konnectivity-server", "tunnel")
        if order(ctx) != (FIRST,):
            keys = {names.ENCRYPTION_KEYS_ANNOTATION: ",".join(order(ctx))}
            deployment["spec"]["template"]["metadata"]["annotations"] = keys
        restart_on_change(deployment, *data.values(), tunnel.cert.decode())
        if not _comes_too_early(ctx):
            yield deployment

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        if ctx.spec.control_plane.in_machines:
            return members.ready(ctx)
        deployment = seen.get(("Deployment", ctx.namespace, "control-plane"))
        if deployment is None and _comes_too_early(ctx):
            until = Awaited("Pod", _placed)
            return Readiness.waiting("waits for etcd's volume", Reason.DATASTORE_NOT_READY, until)
        return deployment_ready(deployment)


def _placed(pod: Object) -> bool:
    """Whether a pod has a node, and with that its volumes."""
    return bool(pod["spec"].get("nodeName"))


def _comes_too_early(ctx: PlanContext) -> bool:
    """Whether a first start would wait for a volume that is still being made.

    kube-apiserver tries again after ever longer pauses, and gives up after 20 seconds. etcd listens sooner
    after its pod got a node than kube-apiserver asks.
    """
    etcd = ctx.seen("StatefulSet", "etcd")
    if etcd is None or "status" not in etcd or ctx.seen("Deployment", "control-plane"):
        return False  # nothing, something on paper, or a cluster that has started before
    pod = ctx.seen("Pod", "etcd-0")
    return bool(etcd["spec"].get("volumeClaimTemplates")) and (pod is None or not _placed(pod))
