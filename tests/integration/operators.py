"""A real operator process, as its image starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.integration.servers import ApiServer, free_port

T = TypeVar("T")

PROGRAM = ("-m", "kubeception.operator")
"""What Python is to run."""


def until(look: Callable[[], T | None], seconds: float = 60, pause: float = 0.05) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(pause)
    raise AssertionError(f"nothing seen in {seconds:.0f} s")


class Operator:
    """One process, with the rights of an installed operator. Its log is a file of JSON lines."""

    def __init__(
        self, folder: Path, server: ApiServer, *flags: str, program: Sequence[str] = PROGRAM
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.log = free_port(), folder / f"operator-{time.monotonic_ns()}.log"
        kubeconfig = folder / "kubeconfig.yaml"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(server.operator_kubeconfig()))
        command = [
            sys.executable,
            *program,
            f"--kubeconfig={kubeconfig}",
            "--address=127.0.0.1",
            f"--port={self.port}",
            "--log-level=DEBUG",
            *flags,
        ]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ}
            )

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of what it answers; 0 while it doesn't."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, series: str) -> float:
        """The value of a series, such as `kubeception_writes_total`; 0 where there is none."""
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ready(self) -> "Operator":
        until(lambda: self.alive() and self.get("/readyz")[0] == 200)
        return self

    def peak(self) -> int:
        """MiB of memory that it has had at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) >> 10 if found else 0

    def leads(self) -> bool:
        return self.metric("kubeception_leader") == 1

    def alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return True

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """A graceful end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def operator(
    folder: Path, server: ApiServer, *flags: str, program: Sequence[str] = PROGRAM
) -> Iterator[Operator]:
    """A process that works, ended at the end; where the test fails, what it said last is shown."""
    running = Operator(folder, server, *flags, program=program)
    try:
        yield running.ready()
    except BaseException:
        print("the operator:", *running.log.read_text().splitlines()[-60:], sep="\n")  # noqa: T201
        raise
    finally:
        if running.process.poll() is None:
            running.kill()
