"""What the kernel of a node's disk is told when it starts."""

from typing import Final

ARGUMENTS: Final = (
    "console=ttyS0",
    "loglevel=4",
    "net.ifnames=0",
    "no5lvl",
    "lsm=landlock,yama,apparmor",
    "initcall_blacklist=load_system_certificate_list,jent_mod_init",
    "rw",
)
"""What an emulated processor would spend seconds on is left out: page tables of a fifth level; a security module in
BPF, for which systemd reads all of the kernel's types; Debian's certificates, where modules bear no signature; the
self-test of a random source that is not the kernel's own.
"""
