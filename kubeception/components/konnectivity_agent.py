"""The nodes' end of the tunnel through which the control plane reaches kubelets, webhooks and aggregated APIs."""

from collections.abc import Iterator

from kubeception.components.tenant import SYSTEM, TenantComponent, everywhere
from kubeception.plan.context import PlanContext
from kubeception.plan.edit import restart_on_change
from kubeception.plan.endpoint import TUNNEL_PORT
from kubeception.plan.facts import Object
from kubeception.plan.secret import opaque


class KonnectivityAgent(TenantComponent):
    """An agent on every node, known to the server by a client certificate, and dialled for its own node first."""

    name = "konnectivity-agent"
    needs = ("credentials",)
    workload = ("DaemonSet", SYSTEM, "konnectivity-agent")

    def objects(self, ctx: PlanContext) -> Iterator[Object]:
        if ctx.spec.control_plane.in_machines:
            return  # it reaches nodes and pods as they reach each other
        pair = ctx.pki.leaf("konnectivity-agent", "tunnel")
        ca = ctx.pki.ca("tunnel").cert
        files = {"tunnel-ca.crt": ca, "tunnel.crt": pair.cert, "tunnel.key": pair.key}
        yield opaque(SYSTEM, "konnectivity-agent", files)
        daemonset = ctx.manifest(
            "konnectivity-agent/daemonset.yaml.j2",
            tolerations=everywhere(ctx),
            tunnel_port=TUNNEL_PORT,
        )
        restart_on_change(daemonset, pair.cert.decode())
        yield daemonset
