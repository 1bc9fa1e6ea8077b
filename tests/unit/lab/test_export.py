from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError, UsageError
from kubeception.lab import export, preflight
from kubeception.lab.export import Order
from kubeception.lab.images import PRELOADED
from kubeception.lab.parts import KUBERNETES
from kubeception.plan.versions import image as name_of
from tests.reports import Recorder


@pytest.mark.parametrize(
    ("order", "file"),
    [
        (Order(), f"node-{KUBERNETES}.tar"),
        (Order(format="raw"), f"node-{KUBERNETES}.raw"),
        (Order(format="qcow2"), f"node-{KUBERNETES}.qcow2"),
        (Order(output=Path("x")), "x"),
        (Order(output=Path("x"), push="r.example/n:1"), "x"),
    ],
)
def test_a_file_is_named_after_what_it_is(order: Order, file: str) -> None:
    order.check()
    assert order.file == Path(file)


def test_what_is_only_pushed_has_no_file() -> None:
    order = Order(push="registry.example.com/nodes/node:1")
    order.check()
    assert order.file is None


def test_another_version_is_refused_with_what_can_be_built() -> None:
    with pytest.raises(UsageError) as refused:
        Order(version="v1.35.4").check()
    assert f"builds {KUBERNETES} and no other" in refused.value.message
    assert "--parts changes where programs come from, not their version" in refused.value.hint


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_disk_is_not_pushed(form: export.Format) -> None:
    with pytest.raises(UsageError, match="a registry takes images"):
        Order(format=form, push="registry.example.com/node:1").check()


def test_a_name_without_a_registry_is_refused() -> None:
    with pytest.raises(KubeceptionError, match="HOST/REPOSITORY:TAG"):
        Order(push="node").check()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Order(output=tmp_path).check()
    with pytest.raises(UsageError, match="there is no folder"):
        Order(output=tmp_path / "no" / "node.raw").check()


def test_nothing_is_begun_where_it_cannot_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    report = Recorder()
    with pytest.raises(KubeceptionError, match="you are not root"):
        export.build(Order(output=tmp_path / "node.tar"), report)
    assert report.phases == []
    assert not (home / ".cache").exists()


def test_room_is_asked_for_where_it_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[Path, float] = {}
    monkeypatch.setattr(preflight, "check_builder", asked.update)
    monkeypatch.setattr(export, "chosen", lambda: pytest.fail("far enough"))
    with pytest.raises(pytest.fail.Exception, match="far enough"):
        export.build(Order(format="raw", output=tmp_path / "node.raw"), Recorder())
    assert set(asked) == {home / ".cache/kubeception", tmp_path}


def test_an_image_takes_the_parts_that_are_in_it_and_no_others() -> None:
    node, ingredients = export.chosen()
    assert node.name == name_of("node-disk")
    assert {image.name for image in ingredients} == {name_of(name) for name in PRELOADED}
    needed = {part.name for part in export.needed(ingredients)}
    assert {"kubernetes", "containerd", "cni", "pause", "crane", "registry"} <= needed
    assert not needed & {"kubevirt", "metallb", "etcd"}
