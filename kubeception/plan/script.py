"""A bootstrap for a machine that is somebody's own: a shell script, in which data stands only as quoted arguments."""

import base64
import shlex
from collections.abc import Iterator
from typing import Final

from kubeception.plan.bootstrap import PATCHES, Bootstrap, File
from kubeception.plan.render import text
from kubeception.plan.way import RULES

OWN: Final = "/etc/kubeception"


def script(boot: Bootstrap, way: str) -> str:
    """What root's shell runs on the machine; it may be run again, and then changes nothing that is done.

    `way` are the rules of `plan.way.forward`.
    """
    lines = "".join(f"{shlex.join(line)}\n" for line in _lines(boot, way))
    # A function, so that half a script does nothing, and no command reads the rest of it.
    return f"{text('machine.sh', {})}\nmain() {{\n{lines}}}\nmain </dev/null\n"


def _lines(boot: Bootstrap, way: str) -> Iterator[tuple[str, ...]]:
    files = [*boot.files, File(f"{OWN}/pods.conflist", text("pods.conflist", {}))]
    if way:
        unit = text("kubeception-endpoint.service", {})
        files.append(File(RULES, way))
        files.append(File("/etc/systemd/system/kubeception-endpoint.service", unit))
    yield "begin", boot.hostname
    for file in files:
        content = base64.b64encode(file.content.encode()).decode()
        yield "file", file.path, file.mode, content
    if way:
        yield ("endpoint",)
    yield "cgroups", f"{PATCHES}/kubeletconfiguration1+merge.json"
    if boot.pod_network:
        yield ("network",)
    yield ("keep_kubelet",)
    for command in boot.commands:
        yield "attempt", *command
    for command in boot.after:
        yield "once", *command
    yield "end", "done", "0"
