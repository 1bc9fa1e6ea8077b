"""Ctrl-C twice: the second comes while the command ends, where Python would trace it back."""

import signal
import subprocess
import sys
from typing import Final

ENDS_SLOWLY: Final = """
import signal, threading, time
from kubeception import cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the test in the background ignores it

def work(*args, **kwargs):
    threading.Thread(target=time.sleep, args=(3,)).start()
    print("works", flush=True)
    time.sleep(60)

cli.kubeception.main = work
cli.main([])
"""


def test_a_second_interrupt_leaves_no_traceback() -> None:
    argv = [sys.executable, "-c", ENDS_SLOWLY]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "works\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "Interrupted.\n"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        assert "Traceback" not in process.stderr.read()
