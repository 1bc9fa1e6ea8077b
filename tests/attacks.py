"""`make attacks`: what hostile tenants try, by the tests marked with it, and how far each of it came.

A test marked `attack(ID)` passes where the attack fails, and one with `control=True` where it succeeds, with the guard
taken away; `control="within"` has both in one. A test that tries more than one thing records how many, as `cases`.
"""

from collections import Counter
from typing import Final

import pytest

ATTACKS: Final = {
    "A01": "proxies of kube-apiserver to addresses of the host",
    "A02": "webhooks and conversions to addresses of the host",
    "A03": "aggregated APIs served by somebody of the host",
    "A04": "a stranger as agent of the tunnel",
    "A05": "certificates signed by the tenant, used elsewhere",
    "A06": "ServiceAccount tokens, used at another cluster",
    "A07": "another's etcd",
    "A08": "a full datastore, floods of objects",
    "A09": "expensive requests, profiles, louder logs",
    "A10": "answers and kubeconfigs that deceive the operator",
    "A11": "names and labels that pass for another's",
    "A12": "load balancers with another's address",
    "A13": "volumes of others, paths of the host",
    "A14": "the way out of a virtual machine",
    "A15": "from pods of the tenant to the host's network",
    "A16": "from one tenant to another's machines",
    "A17": "bootstrap secrets",
    "A18": "a node that passes for another",
    "A19": "consoles of machines",
    "A20": "guards, taken away by the tenant",
    "A21": "TenantClusters that ask for more than their author may",
    "A22": "all of it from a tenant of a tenant",
    "A23": "backups of others, or poisoned",
    "A24": "what a deleted tenant leaves to the next of its name",
    "A25": "terminals and logs, written to by names",
    "A26": "a stolen token of the operator",
    "A27": "tokens of people, forged or in Kubernetes' own names",
}
"""What is tried, in the order and by the words of docs/security.md."""
TAKEN: Final = ("failed", "error")
COLUMNS: Final = "{:<4} {:<58} {:>5} {:>5} {:>9}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let reports know what a test tries."""
    for item in items:
        if mark := item.get_closest_marker("attack"):
            (attack,) = mark.args
            if attack not in ATTACKS:
                raise pytest.UsageError(f"{item.nodeid}: {attack} is no attack of tests/attacks.py")
            control = mark.kwargs.get("control")
            item.user_properties.extend((("attack", attack), ("control", control)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: of each attack how many cases were held off, how many were not, how many came through unguarded."""
    held: Counter[str] = Counter()
    through: Counter[str] = Counter()
    controls: Counter[str] = Counter()
    for outcome in ("passed", *TAKEN):
        for report in terminalreporter.getreports(outcome):
            said = dict(getattr(report, "user_properties", ()))
            if "attack" not in said or (outcome == "passed" and report.when != "call"):
                continue
            cases = Counter({said["attack"]: said.get("cases", 1)})
            if outcome in TAKEN:
                through += cases
                continue
            if said["control"]:
                controls += cases
            if said["control"] is not True:
                held += cases
    terminalreporter.section("attacks")
    write = terminalreporter.write_line
    write(COLUMNS.format("", "", "held", "not", "unguarded"))
    for attack, title in ATTACKS.items():
        row = (held[attack], through[attack], controls[attack])
        write(COLUMNS.format(attack, title, *(number or "-" for number in row)))
    write(COLUMNS.format("", "", held.total(), through.total(), controls.total()))
