"""Parts from source: a Go build of the part's own go.mod, and a few static C programs."""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeception.errors import KubeceptionError
from kubeception.lab.command import run
from kubeception.lab.part import Cache, Part
from kubeception.lab.report import Report

TIGHT = 4 << 30
"""With less free disk than this the Go caches are emptied between two parts."""
STATIC = ("-static", "-O2", "-s", "-Wall")


@dataclass(frozen=True)
class Builder:
    """Builds parts with Go caches of its own, which `close` removes."""

    cache: Cache
    report: Report
    go: str
    """The Go command."""

    @property
    def work(self) -> Path:
        """Everything that building leaves behind until it is closed."""
        return self.cache.work / "build"

    def environment(self, part: Part) -> dict[str, str]:
        """Go's settings: caches apart from the user's, and no collection of garbage below a size."""
        return {
            "GOCACHE": str(self.work / "cache"),
            "GOMODCACHE": str(self.work / "modules"),
            "GOBIN": "",
            "GOWORK": "off",
            "GOFLAGS": "-trimpath -buildvcs=false -modcacherw",
            "GOGC": "off",
            "GOMEMLIMIT": "1500MiB",
            "CGO_ENABLED": "1" if part.cgo else "0",
        }

    def build(self, part: Part) -> None:
        """Build one part into the cache and seal it. Raises KubeceptionError."""
        self.make_room()
        out = self.work / "out" / part.name
        out.mkdir(parents=True, exist_ok=True)
        if part.go:
            self.compile_go(part, out)
        source = self.module(part) if part.module else part.folder
        for program, file in part.c.items():
            argv = ["gcc", *STATIC, "-o", str(out / program), str(source / file)]
            hint = "install gcc and libc6-dev"
            run(argv, self.report, doing=f"building {program}", hint=hint)
        for built, name in part.renames.items():
            (out / built).replace(out / name)
        self.cache.bin.mkdir(parents=True, exist_ok=True)
        for name in part.binaries:
            (out / name).replace(self.cache.bin / name)
        for file, name in part.files.items():
            self.cache.share_copy(source / file, name)
        self.cache.seal(part, "build")

    def compile_go(self, part: Part, out: Path) -> None:
        """`go build` of all tools of the part's go.mod, `go test -c` of its tests."""
        options = ["-gcflags=all=-dwarf=false"]  # a fifth of the compiler's time
        options += ["-ldflags", " ".join(("-s", "-w", *part.ldflags))]
        if part.tags:
            options += ["-tags", ",".join(part.tags)]
        commands = [["build", *options, "-o", f"{out}/", "tool"]]
        for program, package in part.tests.items():
            commands.append(["test", "-c", "-vet=off", *options, "-o", str(out / program), package])
        for command in commands:
            doing = f"building {part.name} {part.version}"
            argv = [self.go, *command]
            run(argv, self.report, doing=doing, cwd=part.folder, env=self.environment(part))

    def module(self, part: Part) -> Path:
        """Folder of the part's Go module. Raises KubeceptionError."""
        found = self.ask(part, "list", "-m", "-f", "{{.Dir}}", part.module)
        if found.returncode:
            message = f"looking for the Go module {part.module}"
            raise KubeceptionError(message, output=found.stderr)
        return Path(found.stdout.strip())

    def ask(self, part: Part, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A question to the Go command in the part's folder."""
        return subprocess.run(
            [self.go, *arguments],
            cwd=part.folder,
            env={**os.environ, **self.environment(part)},
            capture_output=True,
            text=True,
            check=False,
        )

    def prefetch(self, parts: Sequence[Part]) -> threading.Thread:
        """Download the modules of parts whose turn comes later; what fails here fails again in the build."""

        def work() -> None:
            for part in parts:
                if part.go:
                    self.ask(part, "list", "-deps", "-f", "", "tool")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def make_room(self) -> None:
        """Empty the Go caches where the disk is nearly full."""
        if shutil.disk_usage(self.cache.folder).free < TIGHT:
            self.report.log("little free disk: emptying the Go caches")
            self.close()

    def close(self) -> None:
        """Remove everything that only building needed."""
        shutil.rmtree(self.work, ignore_errors=True)
