"""`kubeception events`: what the host reports of a tenant cluster."""

import click

from kubeception.cli.options import HostArgs, host_options, name_argument
from kubeception.cli.output import age, table


@click.command()
@name_argument
@host_options
def events(name: str, host: HostArgs) -> None:
    """Show the host's events about tenant cluster NAME, the latest last."""
    from kubeception import names
    from kubeception.cli.host import connect
    from kubeception.cli.tenant import find

    cluster = connect(host).cluster
    meta = find(cluster, host.namespace, name)["metadata"]
    own = names.control_plane_namespace(meta["uid"], name)
    nodes = names.nodes_namespace(meta["uid"], name)
    found = [*cluster.list("Event", own), *cluster.list("Event", nodes)]
    found += cluster.list("Event", host.namespace, fields=f"involvedObject.uid={meta['uid']}")

    def moment(event: dict[str, str]) -> str:
        return event.get("lastTimestamp") or event.get("eventTime") or ""

    found.sort(key=moment)
    rows = [
        (
            age(moment(event)),
            event.get("type", ""),
            event.get("reason", ""),
            f"{event['involvedObject'].get('kind', '')}/{event['involvedObject'].get('name', '')}",
            event.get("message", ""),
        )
        for event in found
    ]
    table(("AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"), rows)
