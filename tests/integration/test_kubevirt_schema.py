"""What is rendered for KubeVirt against the schemas that its own operator installs: no field that nobody reads."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.facts import Object
from kubeception.providers import migration, provider
from tests.integration.servers import binary
from tests.plans import plan, pool

TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}
BOOT: Final = Bootstrap("demo-1", (), ())
POOLS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"cpus": 4, "memory": "8Gi", "image": "example.org/disk:1", "spread": "Required"},
    {"instancetype": {"name": "u1.small"}, "preference": {"name": "debian"}},
    {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "hugepages": "2Mi",
        "dedicatedCPUs": True,
        "nodeSelector": {"example.com/kind": "large"},
        "disks": [{"name": "data", "size": "10Gi"}],
    },
    {"rootDisk": {"size": "20Gi"}, "eviction": "LiveMigrate", "networkData": "version: 2"},
    {
        "rootDisk": {
            "size": "20Gi",
            "storageClassName": "fast",
            "accessMode": "ReadWriteMany",
            "volumeMode": "Block",
        }
    },
)


@cache
def schema(description: str) -> Any:
    """The schema in the operator's program whose description begins so."""
    program = Path(binary("virt-operator")).read_bytes()
    head = rb"openAPIV3Schema:\n  description: (?:\|-\n +)?" + description.encode()
    found = re.search(head + rb".*\n(?:(?:  .*)?\n)*", program)
    assert found
    return yaml.load(found[0], yaml.CSafeLoader)["openAPIV3Schema"]


def faults(value: Any, known: Any, path: str = "") -> Iterator[str]:
    """Where a value is other than its schema says."""
    if known.get("x-kubernetes-int-or-string"):
        return
    kind = known.get("type")
    if kind and not isinstance(value, TYPES[kind]):
        yield f"{path}: is no {kind}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(item, known["items"], f"{path}[{number}]")
    elif isinstance(value, dict) and "properties" in known:
        yield from (
            f"{path}.{key}: is missing" for key in set(known.get("required", ())) - set(value)
        )
        for key, item in value.items():
            if key in known["properties"]:
                yield from faults(item, known["properties"][key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: is unknown"
    if value not in known.get("enum", [value]):
        yield f"{path}: {value!r} is none of {known['enum']}"


def virtual_machine(**options: Any) -> Object:
    *_, vm = provider("kubevirt").render(plan(), pool(1, kubevirt=options), "demo-1", BOOT)
    return vm


@pytest.mark.parametrize("options", POOLS, ids=str)
def test_a_virtual_machine_has_no_field_that_kubevirt_does_not_know(
    options: dict[str, Any],
) -> None:
    known = schema("VirtualMachine handles the VirtualMachines")
    assert list(faults(virtual_machine(**options), known)) == []


def test_a_migration_has_none_either() -> None:
    vm = virtual_machine(eviction="LiveMigrate")
    vm["metadata"]["uid"] = "u"
    status = {
        "phase": "Running",
        "nodeName": "host-1",
        "evacuationNodeName": "host-1",
        "conditions": [{"type": "LiveMigratable", "status": "True"}],
    }
    meta = {"name": "demo-1", "uid": "life-1"}
    vmi = {"kind": "VirtualMachineInstance", "metadata": meta, "status": status}
    (wanted,) = migration.due([vm, vmi], ["demo"])
    known = schema("VirtualMachineInstanceMigration represents")
    assert list(faults(wanted, known)) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("evictionStrategie",), "External", ".evictionStrategie: is unknown"),
        (("domain", "devices", "rng"), True, ".rng: is no object"),
        (("volumes",), [{"dataVolume": {}}], ".name: is missing"),
    ],
)
def test_a_field_that_is_wrong_is_seen(path: tuple[str, ...], value: Any, said: str) -> None:
    vm = virtual_machine()
    *parents, last = path
    place = vm["spec"]["template"]["spec"]
    for step in parents:
        place = place[step]
    place[last] = value
    found = list(faults(vm, schema("VirtualMachine handles the VirtualMachines")))
    assert any(fault.endswith(said) for fault in found), found
