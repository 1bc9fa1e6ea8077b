"""`kubeception events`: what the host reports of tenant clusters."""

from typing import TYPE_CHECKING, Final

import click

from kubeception.cli.options import HostArgs, examples, host_options, named
from kubeception.cli.output import Column, Listing, Row, all_option, output_option, watch_option

if TYPE_CHECKING:
    from kubeception.kube.client import Cluster, Object

COLUMNS: Final = (
    Column("TYPE"),
    Column("REASON", least=10),
    Column("OBJECT", least=16),
    Column("NAMESPACE", least=12, wide=True),
    Column("COUNT", wide=True),
    Column("MESSAGE", least=16),
)


@click.command(epilog=examples("events acme", "events acme --watch", "events -A -o json"))
@named(required=False)
@all_option
@watch_option
@output_option
@host_options
def events(
    name: str | None, output: str, *, watch: bool, all_namespaces: bool, host: HostArgs
) -> None:
    """Show the host's events about tenant cluster NAME, or about all, the latest last."""
    from kubeception.cli.host import connect
    from kubeception.cli.listing import chosen, present

    cluster = connect(host).cluster
    found = chosen(cluster, "" if all_namespaces else host.namespace, name)
    places = [place for tenant in found for place in spaces(tenant)]

    def read() -> list[Row]:
        events = [event for tenant in found for event in of_tenant(cluster, tenant)]
        return [row(event) for event in sorted(events, key=moment)]

    listing = Listing(COLUMNS, read, output, "No events: the host forgets them after an hour.")
    present(listing, [(cluster, ("Event",), place) for place in places], watch=watch)


def of_tenant(cluster: "Cluster", tenant: "Object") -> "list[Object]":
    """The events in a tenant's namespaces, about itself and about its pools."""
    meta = tenant["metadata"]
    own = [event for space in spaces(tenant) for event in cluster.list("Event", space)]
    pools = [
        pool["metadata"]["uid"]
        for pool in cluster.list("NodePool", meta["namespace"])
        if pool["spec"].get("clusterRef", {}).get("name") == meta["name"]
    ]
    for uid in (meta["uid"], *pools):
        own += cluster.list("Event", meta["namespace"], fields=f"involvedObject.uid={uid}")
    return own


def spaces(tenant: "Object") -> tuple[str, str]:
    """The namespaces of a tenant's control plane and of its machines."""
    from kubeception import names

    uid, name = tenant["metadata"]["uid"], tenant["metadata"]["name"]
    return names.control_plane_namespace(uid, name), names.nodes_namespace(uid, name)


def moment(event: "Object") -> str:
    """When it last happened."""
    series = event.get("series") or {}
    found = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(found or event["metadata"]["creationTimestamp"])


def row(event: "Object") -> Row:
    """A line of the table."""
    about = event["involvedObject"]
    cells = [
        event.get("type", ""),
        event.get("reason", ""),
        f"{about.get('kind', '')}/{about.get('name', '')}",
        event["metadata"]["namespace"],
        event.get("count") or (event.get("series") or {}).get("count") or 1,
        event.get("message", ""),
    ]
    return Row(event["metadata"]["name"], cells, event, moment(event))
