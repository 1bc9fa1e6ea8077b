"""A command at a terminal, as a person has it."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl

import pytest

SECONDS = 60
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """A command at a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    text: str = ""

    def read(self, until: str = "", seconds: float = SECONDS) -> str:
        """All it printed up to a text, or else up to its end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (until and until in self.text):
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    data = os.read(self.master, 1 << 16)
                except OSError:
                    break
                if not data:
                    break
                self.text += data.decode(errors="replace")
        if until and until not in self.text:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"never said {until!r}: {self.text!r}")
        return self.text

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def interrupt(self) -> int:
        """Press Ctrl-C, once; its exit code."""
        self.press(b"\x03")
        return self.end()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        self.read()
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # Python tells where each thread is
            pytest.fail(f"goes on: {self.read(seconds=5)!r}")

    @property
    def plain(self) -> str:
        """What it printed, without what steers a terminal."""
        return STEERING.sub("", self.text)


def open_terminal(
    argv: Sequence[str], environment: Mapping[str, str], columns: int = 80
) -> Terminal:
    """Run a command at a terminal of 40 lines."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        argv,
        env={**environment, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=at_terminal,  # noqa: PLW1509
    )
    os.close(slave)
    return Terminal(process, master)


def at_terminal() -> None:
    """Ctrl-C is of that terminal, and is heard even where the tests run in the background."""
    ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
