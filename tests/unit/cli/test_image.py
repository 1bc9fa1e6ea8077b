from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeception.cli import kubeception, main
from kubeception.lab import export
from kubeception.lab.export import Order
from kubeception.lab.parts import KUBERNETES, Source


@pytest.fixture
def orders(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """What would have been built; the program stands in an empty folder."""
    monkeypatch.chdir(home)
    asked: list[Order] = []
    monkeypatch.setattr(export, "build", lambda order, _: asked.append(order))
    return asked


@pytest.mark.parametrize(
    ("words", "order", "said"),
    [
        ("", Order(), f"node-{KUBERNETES}.tar\n"),
        ("--format raw --output a.raw", Order(format="raw", output=Path("a.raw")), "a.raw\n"),
        ("--push r.example/n:1", Order(push="r.example/n:1"), "r.example/n:1\n"),
        (
            f"--version {KUBERNETES} --parts build --format qcow2",
            Order(format="qcow2", source=Source("build")),
            f"node-{KUBERNETES}.qcow2\n",
        ),
    ],
)
def test_words_are_an_order(orders: list[Order], words: str, order: Order, said: str) -> None:
    result = CliRunner().invoke(
        kubeception, ["image", "build", *words.split()], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert orders == [order]
    assert result.stdout == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--version v1.35.4", f"builds {KUBERNETES} and no other"),
        ("--format raw --push r.example/n:1", "a registry takes images, and raw is a disk"),
        ("--format iso", "'iso' is not one of 'containerdisk', 'raw', 'qcow2'"),
        ("--parts no-folder", "neither auto, release nor build, nor a folder"),
        ("--output no/node.tar", "there is no folder no"),
    ],
)
def test_what_can_not_be_built_is_said_at_once(
    orders: list[Order], capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["image", "build", *words.split()])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert orders == []
