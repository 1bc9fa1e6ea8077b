"""A detached process and the record by which it is found again: pid, start time and boot.

The record is on disk before the program starts, so a process of ours without a record can't exist, and a pid
that the kernel has given to somebody else, or that an earlier boot had, is never taken for ours.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """A process of this machine, told from all others there ever were."""

    pid: int
    start: int
    """Clock ticks after boot: field 22 of /proc/PID/stat."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this pid now. Raises ProcessLookupError."""
        stat = read_stat(pid)
        if stat is None:
            raise ProcessLookupError(pid)
        return cls(pid, stat[1], boot_id())

    @classmethod
    def load(cls, record: Path) -> "Process | None":
        """The process of a record; None where there is none, or only half of one."""
        try:
            return cls(**json.loads(record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, record: Path) -> None:
        """Write the record, whole or not at all."""
        draft = record.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(record)

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        stat = read_stat(self.pid)
        same = stat is not None and stat[1] == self.start and boot_id() == self.boot
        return same and stat is not None and stat[0] != "Z"

    def end(self, *, grace: float = 0.0, patience: float = 30.0) -> bool:
        """End it: SIGTERM where `grace` seconds are given, then SIGKILL. True once it is gone."""
        for number, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, patience)):
            if wait and self.alive():
                os.kill(self.pid, number)
                until = time.monotonic() + wait
                while self.alive() and time.monotonic() < until:
                    time.sleep(0.02)
        return not self.alive()


def boot_id() -> str:
    """What tells this boot of the machine from all others."""
    return BOOT_ID.read_text().strip()


def read_stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a pid, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def spawn(
    argv: Sequence[str],
    *,
    record: Path,
    log: Path,
    cgroups: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start a program that outlives this one, with its output in `log`, in the cgroups of these cgroup.procs files."""
    launch = {"argv": list(argv), "record": str(record), "log": str(log)}
    launch["cgroups"] = [str(path) for path in cgroups]
    interpret(__name__, json.dumps(launch), env=env)
    process = Process.load(record)
    if process is None:
        raise ProcessLookupError(record)
    return process


def interpret(module: str, argument: str, *, env: Mapping[str, str] | None = None) -> None:
    """Run `python -m module argument` with this very package. Raises CalledProcessError with its stderr."""
    home = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-m", module, argument],
        env={**(os.environ if env is None else env), "PYTHONPATH": home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )


def detach(record: Path, log: Path, body: Callable[[Callable[[], None]], NoReturn]) -> None:
    """Fork `body` off as a session of its own, recorded before it runs; return when it calls its argument.

    For a process with one thread only. What `body` raises before that call is raised here as RuntimeError.
    """
    go_read, go_write = os.pipe()
    told_read, told_write = os.pipe()
    child = os.fork()
    if child:
        os.close(go_read)
        os.close(told_write)
        Process.of(child).save(record)
        os.write(go_write, b"go")
        with os.fdopen(told_read) as told:
            if (answer := told.read()) != "up":
                raise RuntimeError(answer or "it ended at once")
        return
    os.close(go_write)
    os.close(told_read)
    try:
        if not os.read(go_read, 2):
            os._exit(1)  # the parent was killed before it could write the record
        os.setsid()
        redirect(log)
        body(lambda: tell(told_write))
    except BaseException as error:  # noqa: BLE001 - it ends here; its log and its parent are told
        traceback.print_exc()
        with contextlib.suppress(OSError):
            os.write(told_write, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(1)


def tell(pipe: int) -> None:
    """Answer `up` to the parent."""
    os.write(pipe, b"up")
    os.close(pipe)


def redirect(log: Path) -> None:
    """Standard input from nothing, standard output and error to the end of `log`."""
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)


def main(argument: str) -> None:
    """Start the program that `spawn` described."""
    launch = json.loads(argument)

    def body(up: Callable[[], None]) -> NoReturn:
        for procs in launch["cgroups"]:
            Path(procs).write_text(str(os.getpid()))
        up()
        os.execvp(launch["argv"][0], launch["argv"])  # noqa: S606 - no shell is wanted

    detach(Path(launch["record"]), Path(launch["log"]), body)


if __name__ == "__main__":
    main(sys.argv[1])
