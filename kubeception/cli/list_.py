"""`kubeception list`: the tenant clusters of a host."""

import click

from kubeception.cli.options import HostArgs, host_options
from kubeception.cli.output import age, document, output_option, table


@click.command("list")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@output_option
@host_options
def list_(output: str | None, *, all_namespaces: bool, host: HostArgs) -> None:
    """Show the tenant clusters of the host."""
    from kubeception.cli.host import connect
    from kubeception.cli.tenant import status_line

    namespace = "" if all_namespaces else host.namespace
    found = connect(host).cluster.list("TenantCluster", namespace)
    if output == "name":
        for cluster in found:
            click.echo(cluster["metadata"]["name"])
        return
    if output:
        document(found, output)
        return
    if not found:
        where = "" if all_namespaces else f" in namespace {namespace}"
        click.echo(f"No tenant clusters{where}. `kubeception create NAME` makes one.", err=True)
        return
    rows = []
    for cluster in found:
        meta, status = cluster["metadata"], cluster.get("status", {})
        row = [
            meta["name"],
            status.get("version", ""),
            status_line(cluster),
            status.get("endpoint", "").removeprefix("https://"),
            f"{status.get('readyNodes', 0)}/{status.get('nodes', 0)}",
            age(meta["creationTimestamp"]),
        ]
        rows.append([meta["namespace"], *row] if all_namespaces else row)
    head = ["NAME", "VERSION", "STATUS", "ENDPOINT", "NODES", "AGE"]
    table(["NAMESPACE", *head] if all_namespaces else head, rows)
