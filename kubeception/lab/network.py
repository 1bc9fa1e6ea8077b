"""The links, addresses and the one nftables table that make a lab's network on its machine.

Nodes hang on a bridge, each by a veth pair; what leaves the lab's ranges is masqueraded by a table of the lab's own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kubeception.lab.command import output
from kubeception.lab.report import Report
from kubeception.lab.state import Lab, LabNode

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
INTERFACE = "eth0"
"""A node's link, inside the node."""


@dataclass(frozen=True)
class Network:
    """The machine's side of a lab's network."""

    lab: Lab
    report: Report

    def ip(self, *words: str, inside: int | None = None) -> str:
        """What `ip words…` prints, on the machine or in the network of the process `inside`."""
        enter = ["nsenter", "--target", str(inside), "--net"] if inside else []
        return output([*enter, "ip", *words], self.report, doing=f"network of lab {self.lab.name}")

    def links(self, inside: int | None = None) -> list[dict[str, Any]]:
        """The links there are."""
        found: list[dict[str, Any]] = json.loads(self.ip("-json", "link", "show", inside=inside))
        return found

    def has(self, link: str, inside: int | None = None) -> bool:
        """Whether a link of this name exists."""
        return any(entry["ifname"] == link for entry in self.links(inside))

    def nft(self, script: str) -> None:
        """Run an nftables script as one transaction."""
        output(["nft", "-f", "-"], self.report, doing="nftables of the lab", stdin=script)

    def mtu(self) -> int:
        """The MTU of the machine's way out: nothing that leaves a lab should need fragments."""
        routes = json.loads(self.ip("-json", "-4", "route", "show", "default"))
        ways = {route.get("dev") for route in routes}
        return min([1500, *(int(link["mtu"]) for link in self.links() if link["ifname"] in ways)])

    def ensure(self) -> None:
        """The bridge with the machine's address, and the masquerading."""
        lab = self.lab
        if not self.has(lab.bridge):
            self.ip("link", "add", lab.bridge, "mtu", str(self.mtu()), "type", "bridge")
        self.ip("address", "replace", with_prefix(lab, lab.machine), "dev", lab.bridge)
        self.ip("link", "set", lab.bridge, "up")
        self.nft(masquerade(lab))

    def connect(self, node: LabNode, pid: int) -> None:
        """Give a node, whose process 1 has this pid, its link, address and default route."""
        if not self.has(INTERFACE, inside=pid):
            if self.has(node.link):  # the end that a node which is no more has left
                self.ip("link", "delete", node.link)
            size = ("mtu", str(self.mtu()))
            peer = ("type", "veth", "peer", "name", INTERFACE, *size, "netns", str(pid))
            self.ip("link", "add", node.link, *size, *peer)
        self.ip("link", "set", node.link, "master", self.lab.bridge, "up")
        address = with_prefix(self.lab, node.address)
        self.ip("link", "set", "lo", "up", inside=pid)
        self.ip("address", "replace", address, "dev", INTERFACE, inside=pid)
        self.ip("link", "set", INTERFACE, "up", inside=pid)
        self.ip("route", "replace", "default", "via", str(self.lab.machine), inside=pid)

    def remove(self) -> None:
        """Remove the bridge, the links that hang on it and the table, as far as they exist."""
        links = self.links()
        names = [entry["ifname"] for entry in links if entry.get("master") == self.lab.bridge]
        names += [entry["ifname"] for entry in links if entry["ifname"] == self.lab.bridge]
        for name in names:
            self.ip("link", "delete", name)
        self.nft(f"table ip {self.lab.table}\ndelete table ip {self.lab.table}\n")


def with_prefix(lab: Lab, address: object) -> str:
    """An address of the nodes' range as `ip address` wants it."""
    return f"{address}/{lab.node_range.prefixlen}"


def masquerade(lab: Lab) -> str:
    """The lab's nftables table, as one transaction that replaces it."""
    inside = ", ".join(str(network) for network in lab.ranges)
    return f"""\
table ip {lab.table}
delete table ip {lab.table}
table ip {lab.table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat
    ip saddr {lab.node_range} ip daddr != {{ {inside} }} masquerade
  }}
}}
"""


def used_ranges(report: Report) -> Sequence[IPv4Network]:
    """The ranges this machine has routes to, the default route left out."""
    listing = output(["ip", "-json", "-4", "route", "show"], report, doing="routes of the machine")
    targets = (route["dst"] for route in json.loads(listing))
    return [IPv4Network(target) for target in targets if target != "default"]


def open_forwarding(note: Path) -> None:
    """Let the machine forward between its links; `note` keeps what it was, for `close_forwarding`."""
    before = FORWARDING.read_text().strip()
    if before == "0":
        note.write_text(before)
        FORWARDING.write_text("1")


def close_forwarding(note: Path) -> None:
    """Put forwarding back as it was found."""
    if note.exists():
        FORWARDING.write_text(note.read_text())
        note.unlink()
