"""`kubeception logs`: what a tenant's control plane says."""

from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from kubeception.cli.options import HostArgs, examples, host_options, name_argument

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

COMPONENTS: Final = {
    "etcd": ("etcd", "etcd"),
    "apiserver": ("control-plane", "kube-apiserver"),
    "controller-manager": ("control-plane", "kube-controller-manager"),
    "scheduler": ("control-plane", "kube-scheduler"),
    "konnectivity": ("control-plane", "konnectivity-server"),
}
"""What a person calls it: the component whose pods it is in, and its container there."""


class ComponentType(click.ParamType[str]):
    """A part of the control plane, by its short or its full name."""

    name = "component"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        short = value.removeprefix("kube-").removesuffix("-server")
        if short not in COMPONENTS:
            known = ", ".join(COMPONENTS)
            self.fail(
                f"{value!r} is none of {known}; a machine's console is `kubeception console NODE`",
                param,
                ctx,
            )
        return short

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in COMPONENTS if name.startswith(incomplete)]


@click.command(
    epilog=examples(
        "logs acme apiserver --tail 20", "logs acme etcd -f", "logs acme scheduler --previous"
    )
)
@name_argument
@click.argument("component", type=ComponentType())
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-p", "--previous", is_flag=True, help="Of the container that ended before this one.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@host_options
def logs(
    name: str,
    component: str,
    tail: int | None,
    *,
    follow: bool,
    previous: bool,
    host: HostArgs,
) -> None:
    """Print the log of COMPONENT of tenant cluster NAME.

    COMPONENT is etcd, apiserver, controller-manager, scheduler or konnectivity.
    """
    from kubeception.cli.events import spaces
    from kubeception.cli.host import connect
    from kubeception.cli.output import clean
    from kubeception.cli.tenant import find
    from kubeception.cli.tree import in_machines
    from kubeception.errors import NotFoundError, UsageError

    cluster = connect(host).cluster
    tenant = find(cluster, host.namespace, name)
    if in_machines(tenant):
        raise UsageError(
            f"the control plane of {name} is in virtual machines, where it is pods of the cluster itself",
            hint=f"`kubectl logs --namespace kube-system` with its kubeconfig, or `kubeception nodes {name}` and "
            "`kubeception console` of one of them.",
        )
    namespace = spaces(tenant)[0]
    owner, container = COMPONENTS[component]
    pod = newest_pod(cluster, namespace, owner)
    if pod is None:
        raise NotFoundError(
            f"{cluster.title}: {name} has no pod of its {component}",
            hint=f"`kubeception describe {name}` says what it waits for.",
        )
    for line in cluster.logs(
        pod["metadata"]["name"], namespace, container, follow=follow, tail=tail, previous=previous
    ):
        click.echo(clean(line))


def newest_pod(cluster: "Cluster", namespace: str, component: str) -> "Object | None":
    """The latest pod of a component; None where there is none."""
    from kubeception import names

    pods = cluster.list("Pod", namespace, labels=f"{names.COMPONENT_LABEL}={component}")
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
