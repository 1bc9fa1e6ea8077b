"""`kubeception render`: every manifest of a tenant cluster, without any cluster."""

from typing import TYPE_CHECKING, Any

import click

from kubeception.cli.create import spec_options
from kubeception.cli.options import examples

if TYPE_CHECKING:
    from kubeception.plan.context import PlanContext


@click.command(epilog=examples("render acme --workers 2", "render -f acme.yaml"))
@click.argument("name", required=False)
@spec_options
@click.option("-n", "--namespace", default="default", show_default=True, help="Where it would be.")
def render(name: str | None, spec: dict[str, Any], namespace: str) -> None:
    """Print all manifests of tenant cluster NAME, or of that in a file.

    What only a host can tell, such as addresses, is filled in with ranges reserved for documentation,
    and keys are made up: this is for reading and comparing.
    """
    import yaml

    from kubeception.cli.spec import SpecArgs, load
    from kubeception.errors import UsageError

    if not name and not spec["file"]:
        raise UsageError("render what?", hint="Give a NAME, or a file with -f.")
    wanted = load(SpecArgs(name, namespace, **spec))
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    for side, component, obj in manifests(wanted.cluster, wanted.pools):
        click.echo(f"---\n# {side}: {component}")
        click.echo(yaml.dump(obj, Dumper=dumper, sort_keys=False, width=1000), nl=False)


def manifests(cluster: Any, pools: Any) -> Any:
    """(side, component, object) of everything that `create` would write; `infra` is another cluster than the host."""
    from kubeception.components.paper import on_paper
    from kubeception.engine.reconcile import now
    from kubeception.plan.context import PlanContext
    from kubeception.plan.keys import RandomKeys
    from kubeception.plan.offline import offline_facts

    facts = offline_facts(cluster, now())
    made, ctx = on_paper(PlanContext(cluster, pools, facts, RandomKeys()))
    for resource in (cluster, *pools):
        yield "host", "spec", resource.manifest()
    for component, objects in made:
        for obj in objects:
            yield str(component.side), component.name, obj
    yield from machine_manifests(ctx)


def machine_manifests(ctx: "PlanContext") -> Any:
    """The machines of all pools, and those of a control plane of machines."""
    from kubeception import names
    from kubeception.components.machines import machine_bootstrap
    from kubeception.engine.machines import new_token
    from kubeception.plan import control_plane
    from kubeception.plan.bootstrap import node_bootstrap
    from kubeception.plan.site import site_of
    from kubeception.providers import provider

    if own := control_plane.pool_of(ctx):
        for member in control_plane.members(ctx):
            token = new_token(ctx) if member.index else ""
            boot = machine_bootstrap(ctx, own, member, token)
            for obj in provider(own.spec.provider).render(ctx, own, member.name, boot):
                yield "host", "control-plane", obj
    for pool in ctx.pools:
        for _ in range(pool.spec.replicas):
            machine = names.machine(pool.name, ctx.keys.random_bytes("machine", 4))
            boot = node_bootstrap(ctx, pool, machine, new_token(ctx))
            for obj in provider(pool.spec.provider).render(ctx, pool, machine, boot):
                yield "infra" if site_of(pool) else "host", "machines", obj
