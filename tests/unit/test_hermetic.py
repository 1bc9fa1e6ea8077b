"""The rules of the unit tier hold: a test that reaches out fails."""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

Failed = pytest.fail.Exception


def test_a_process_fails_the_test() -> None:
    with pytest.raises(Failed, match="started a process"):
        subprocess.run([sys.executable, "-c", ""], check=True)
    with pytest.raises(Failed, match="started a process"):
        os.system("true")


def test_a_connection_fails_the_test() -> None:
    with pytest.raises(Failed, match="opened a socket"):
        socket.create_connection(("127.0.0.1", 1))
    with pytest.raises(Failed, match="opened a socket"):
        urllib.request.urlopen("http://127.0.0.1:1/")


def test_the_home_folder_is_nobodys() -> None:
    assert not Path.home().exists()
    assert "KUBECONFIG" not in os.environ
