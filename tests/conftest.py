"""What every test gets: the rules of its tier, and the flag that rewrites golden files."""

import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3  # noqa: F401  # opens a socket when it is first imported, to learn of IPv6
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
WORLDLY = ("integration", "fault", "e2e")
"""Folders whose tests may touch the world, in the order they are run: after all others."""
E2E_SECONDS = 1800
"""How long a test may take, lab and virtual machines included."""

# A busy machine is not a failing test: no deadlines. CI draws the same examples every time.
settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files instead of comparing"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a test by the folder it lies in, so none can forget its tier, and put quick tiers first."""
    for item in items:
        if (tier := tier_of(item)) in WORLDLY:
            item.add_marker(tier)
        if tier == "e2e":
            item.add_marker(pytest.mark.timeout(E2E_SECONDS))
    items.sort(key=rank)


def tier_of(item: pytest.Item) -> str:
    """The folder below tests/ that a test lies in."""
    return item.path.relative_to(TESTS).parts[0]


def rank(item: pytest.Item) -> tuple[int, str, int]:
    """Quick tiers are shuffled within themselves; e2e tests stay as they were written."""
    tier = tier_of(item)
    place = WORLDLY.index(tier) + 1 if tier in WORLDLY else 0
    return (place, str(item.path), item.location[1] or 0) if tier == "e2e" else (place, "", 0)


@pytest.fixture(autouse=True)
def _hermetic(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Unit, property and golden tests reach nothing but memory and their own temporary folder."""
    if any(request.node.get_closest_marker(tier) for tier in WORLDLY):
        return

    def no_process(*args: object, **_: object) -> None:
        command = [arg for arg in args if not isinstance(arg, subprocess.Popen)]
        pytest.fail(f"a unit test started a process: {command}")

    def no_socket(*_: object, **__: object) -> None:
        pytest.fail("a unit test opened a socket")

    monkeypatch.setattr(subprocess.Popen, "__init__", no_process)
    for name in ("system", "fork", "posix_spawn", "execv", "execve"):
        monkeypatch.setattr(os, name, no_process)
    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setattr(socket.socket, "bind", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)

    home = tmp_path_factory.getbasetemp() / "nobody-lives-here"
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """True when this run is to write golden files: `make golden`."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def now() -> datetime:
    """The one moment at which tests happen."""
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder with its XDG folders inside, for code that writes there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".local" / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    return tmp_path
