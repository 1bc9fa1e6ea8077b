"""A tenant's life, once without a fault to learn what it takes, and then again and again with some."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from kubeception.engine.install import install
from tests.fault.tap import Call, Fault, Strike
from tests.fault.world import State, World, WrongError
from tests.integration.conftest import serve
from tests.integration.servers import (
    ApiServer,
    api_server,
    binary,
    controllers,
    free_port,
    process,
)

OPERATIONS = ("create", "scale_up", "roll", "change", "change_back", "scale_down", "delete")
"""In the order in which they follow upon each other."""

READS = 2
"""How many reads of the same thing are struck: later ones are of passes that only look."""

Strikes = Mapping[str, Strike]
"""At most one for each operation of a life."""


@dataclass(frozen=True)
class Reference:
    """How it goes without faults."""

    calls: Mapping[str, Sequence[Call]]
    states: Mapping[str, State]

    def strikes(self, operation: str, *, reads: bool) -> list[Strike]:
        """Every fault at every write of an operation; at the first reads of each thing too, if asked for."""
        calls = [c for c in self.calls[operation] if c.writes or (reads and c.nth < READS)]
        return [Strike(call, fault) for call in calls for fault in call.faults]

    def lives(self, *, reads: bool = False) -> list[Strikes]:
        """As many lives as it takes for every fault at every call of every operation."""
        columns = [[(name, s) for s in self.strikes(name, reads=reads)] for name in OPERATIONS]
        return [dict(filter(None, row)) for row in zip_longest(*columns)]


def learn(host: ApiServer, tenant: ApiServer) -> Reference:
    """A life without a fault; twice, since what differs between them can't be expected of a third."""
    first, second = (_life(host, tenant) for _ in range(2))
    for name in OPERATIONS:
        if difference := different(first.states[name], second.states[name]):
            raise WrongError(f"{name} doesn't come out the same twice: {difference}")
    common = {n: sorted(set(first.calls[n]) & set(second.calls[n])) for n in OPERATIONS}
    return Reference(common, first.states)


def _life(host: ApiServer, tenant: ApiServer) -> Reference:
    world = World(host, tenant)
    calls: dict[str, Sequence[Call]] = {}
    states: dict[str, State] = {}
    try:
        for name in OPERATIONS:
            if name == "delete":
                world.wipe()
            calls[name] = world.run(name)
            states[name] = world.state()
    finally:
        world.close()
    return Reference(calls, states)


@dataclass(frozen=True)
class Life:
    """How a life with faults went."""

    wrong: str = ""
    """In words."""
    struck: tuple[Fault, ...] = ()
    """The faults whose request was made."""


def live(host: ApiServer, tenant: ApiServer, reference: Reference, strikes: Strikes) -> Life:
    """A life with these faults. It ends after the last of them, in any case with the tenant's deletion."""
    world = World(host, tenant)
    struck: list[Fault] = []
    try:
        last = max((OPERATIONS.index(name) for name in strikes), default=0)
        for name in (*OPERATIONS[: min(last + 1, len(OPERATIONS) - 1)], "delete"):
            if name == "delete":
                world.wipe()  # as it goes with etcd
            try:
                world.run(name, strikes.get(name))
            except WrongError as error:
                return Life(f"{name}, {strikes.get(name)}: {error}", tuple(struck))
            struck += [strikes[name].fault] if world.tap.struck else []
            if difference := different(reference.states[name], world.state()):
                return Life(f"{name}, {strikes.get(name)}: {difference}", tuple(struck))
    finally:
        world.close()
    return Life(struck=tuple(struck))


def different(wanted: State, found: State) -> str:
    """What differs between two states; empty if nothing does."""
    said = [f"missing {key}" for key in wanted.keys() - found.keys()]
    said += [f"left over {key}" for key in found.keys() - wanted.keys()]
    said += [
        f"{key} has {_first(wanted[key], found[key])}"
        for key in wanted.keys() & found.keys()
        if wanted[key] != found[key]
    ]
    return "; ".join(sorted(said)[:5])


def _first(wanted: object, found: object, path: str = "") -> str:
    """The first field in which two values differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                return _first(wanted.get(key), found.get(key), f"{path}.{key}")
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            if one != other:
                return _first(one, other, f"{path}[{index}]")
    return f"{path.lstrip('.')} {json.dumps(found)[:200]} instead of {json.dumps(wanted)[:200]}"


@contextmanager
def servers(folder: Path, tenants: int) -> Iterator[tuple[ApiServer, list[ApiServer]]]:
    """A host, and API servers that stand for tenants'."""
    with ExitStack() as stack:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        etcd = (
            binary("etcd"),
            "--data-dir=data",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
        )
        stack.enter_context(process(folder, *etcd))
        host = stack.enter_context(api_server(folder / "host", client, "/host"))
        stack.enter_context(controllers(host))
        with host.cluster() as cluster:
            install(cluster)
            serve(cluster, "virtualmachines", "VirtualMachine")
            serve(cluster, "virtualmachineinstances", "VirtualMachineInstance")
            serve(cluster, "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration")
        found = [
            stack.enter_context(
                api_server(
                    folder / f"tenant-{n}", client, f"/tenant-{n}", "--allow-privileged=true"
                )
            )
            for n in range(tenants)
        ]
        yield host, found
