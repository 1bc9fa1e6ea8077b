from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kubeception.cli import kubeception
from kubeception.cli.defaults import default_map, path
from kubeception.cli.options import Formats
from kubeception.cli.output import output_option
from kubeception.errors import KubeceptionError, UsageError

pytestmark = pytest.mark.usefixtures("home")


def run(*words: str) -> str:
    result = CliRunner().invoke(kubeception, words)
    if isinstance(result.exception, KubeceptionError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_set_is_shown_and_used(home: Path) -> None:
    run("config", "set", "namespace", "team-a")
    run("config", "set", "create.workers", "3")
    run("config", "set", "create.merge", "no")
    run("config", "set", "lab.up.nodes", "2")
    assert run("config", "view").splitlines() == [
        "namespace = team-a",
        "create.workers = 3",
        "create.merge = False",
        "lab.up.nodes = 2",
    ]
    assert run("config", "path") == f"{home}/.config/kubeception/config.toml\n"
    found = default_map()
    assert found["create"] == {"namespace": "team-a", "workers": 3, "merge": False}
    assert found["list"] == {"namespace": "team-a"}
    assert found["lab"] == {"up": {"nodes": 2}}


def test_what_is_unset_is_no_longer_there() -> None:
    run("config", "set", "create.workers", "3")
    run("config", "unset", "create.workers")
    run("config", "unset", "never.was")
    assert "workers" not in run("config", "view")


def test_a_default_is_an_option_nobody_types() -> None:
    run("config", "set", "render.workers", "0")
    args = ["render", "acme"]
    shown = CliRunner().invoke(kubeception, args, default_map=default_map())
    assert "replicas: 0" in shown.output
    shown = CliRunner().invoke(kubeception, [*args, "--workers", "1"], default_map=default_map())
    assert "replicas: 1" in shown.output


@pytest.mark.parametrize("key", ["nonsense", "create.worker", "create", "lab.up", "help"])
def test_an_option_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="no option of that name"):
        run("config", "set", key, "1")
    assert not path().exists()


def test_an_output_for_all_commands_is_one_that_any_has_and_counts_for_those() -> None:
    run("config", "set", "output", "wide")
    assert run("config", "view") == "output = wide\n"

    @click.command()
    @output_option
    @click.option("--kind", type=Formats(["table", "json"]), default="table")
    def shown(output: str, kind: str) -> None:
        click.echo(f"{output} {kind}")

    said = {"output": "wide", "kind": "wide"}
    assert CliRunner().invoke(shown, default_map=said).output == "wide table\n"
    assert CliRunner().invoke(shown, ["-o", "json"], default_map=said).output == "json table\n"
    assert CliRunner().invoke(shown, ["--kind", "wide"], default_map=said).exit_code == 2
    refused = CliRunner().invoke(kubeception, ["config", "set", "output", "paper"])
    assert refused.exit_code == 2
    assert "Usage: kubeception config set" in refused.output


def test_a_value_that_is_none_of_its_option_is_refused() -> None:
    result = CliRunner().invoke(kubeception, ["config", "set", "create.workers", "many"])
    assert result.exit_code == 2
    assert not path().exists()


@pytest.mark.parametrize("text", ["namespace", "a = [", "\x00"])
def test_a_file_that_is_no_toml_is_named(text: str) -> None:
    path().parent.mkdir(parents=True)
    path().write_text(text)
    with pytest.raises(UsageError, match=r"config\.toml: can't be read"):
        default_map()
