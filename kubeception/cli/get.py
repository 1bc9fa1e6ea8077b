"""`kubeception get`: one tenant cluster in detail."""

import click

from kubeception.cli.options import HostArgs, host_options, name_argument
from kubeception.cli.output import age, clean, document, output_option, table


@click.command()
@name_argument
@output_option
@host_options
def get(name: str, output: str | None, host: HostArgs) -> None:
    """Show tenant cluster NAME."""
    from kubeception.cli.host import connect
    from kubeception.cli.tenant import find, pools_of, status_line

    cluster = connect(host).cluster
    found = find(cluster, host.namespace, name)
    if output == "name":
        click.echo(found["metadata"]["name"])
        return
    if output:
        document(found, output)
        return
    status = found.get("status", {})
    rows = (
        ("Name", found["metadata"]["name"]),
        ("Status", status_line(found)),
        ("Version", status.get("version") or found["spec"].get("version", "")),
        ("Endpoint", status.get("endpoint", "")),
        ("Pods", status.get("podCIDR", "")),
        ("Services", status.get("serviceCIDR", "")),
        (
            "Namespaces",
            f"{status.get('controlPlaneNamespace', '')} {status.get('nodesNamespace', '')}",
        ),
        ("Age", age(found["metadata"]["creationTimestamp"])),
    )
    for key, value in rows:
        click.echo(f"{key + ':':<12} {clean(str(value))}".rstrip())
    if conditions := status.get("conditions"):
        click.echo()
        table(
            ("CONDITION", "STATUS", "SINCE", "MESSAGE"),
            [
                (c["type"], c["status"], age(c["lastTransitionTime"]), c.get("message", ""))
                for c in conditions
            ],
        )
    if pools := pools_of(cluster, host.namespace, name):
        click.echo()
        table(
            ("NODE POOL", "WANTED", "READY", "AGE"),
            [
                (
                    pool["metadata"]["name"],
                    pool["spec"].get("replicas", 1),
                    pool.get("status", {}).get("readyReplicas", 0),
                    age(pool["metadata"]["creationTimestamp"]),
                )
                for pool in pools
            ],
        )
