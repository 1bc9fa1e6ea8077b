import re
from dataclasses import replace
from pathlib import Path

import pytest

from kubeception.errors import KubeceptionError, UsageError
from kubeception.lab import part as part_module, parts, toolchain
from kubeception.lab.part import PARTS_FOLDER, Cache, Part
from kubeception.lab.parts import CNI_PARTS, CONFORMANCE, PARTS, Source, copied, need_disk
from tests.reports import Recorder

ALL = (*PARTS, *(part for parts in CNI_PARTS.values() for part in parts), CONFORMANCE)
BY_NAME = {part.name: part for part in ALL}


def tools(part: Part) -> list[str]:
    """Import paths of the commands in a part's go.mod."""
    text = (part.folder / "go.mod").read_text()
    block = re.search(r"^tool \((.*?)^\)", text, re.DOTALL | re.MULTILINE)
    if block:
        return block[1].split()
    return re.findall(r"^tool (\S+)$", text, re.MULTILINE)


def commands(part: Part) -> list[str]:
    """Those of them that are programs; the others' tests are."""
    assert set(part.tests.values()) <= set(tools(part))
    return [path for path in tools(part) if path not in part.tests.values()]


def built_name(path: str) -> str:
    """What `go build` calls a command: the last element that is no major version."""
    names = path.split("/")
    return names[-2] if re.fullmatch(r"v\d+", names[-1]) else names[-1]


def filled(folder: Path, part: Part) -> Cache:
    """A cache with a part's files in it, not sealed."""
    cache = Cache(folder)
    for name in part.binaries:
        path = cache.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for name in part.files.values():
        path = cache.share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return cache


def test_no_two_parts_bring_the_same_binary() -> None:
    binaries = [name for part in ALL for name in part.binaries]
    assert len(binaries) == len(set(binaries))


@pytest.mark.parametrize("part", ALL, ids=lambda part: part.name)
def test_the_build_makes_exactly_the_binaries_of_the_table(part: Part) -> None:
    built = [built_name(path) for path in commands(part)] if part.go else []
    made = {part.renames.get(name, name) for name in built} | set(part.c) | set(part.tests)
    assert made == set(part.binaries)


@pytest.mark.parametrize(
    "part", [part for part in ALL if part.downloads], ids=lambda part: part.name
)
def test_the_release_brings_exactly_the_binaries_of_the_table(part: Part) -> None:
    taken = [name for download in part.downloads for name in download.takes.values()]
    assert sorted(taken) == sorted(part.binaries)
    assert not part.files


@pytest.mark.parametrize("part", [part for part in ALL if part.go], ids=lambda part: part.name)
def test_the_modules_are_pinned_to_the_version_of_the_table(part: Part) -> None:
    text = (part.folder / "go.mod").read_text()
    pinned = dict(re.findall(r"^\s*(?:require )?(\S+) (v\S+)", text, re.MULTILINE))
    for tool in part.tests.values() or tools(part):
        module = max((name for name in pinned if f"{tool}/".startswith(f"{name}/")), key=len)
        assert pinned[module] == part.version
    assert (part.folder / "go.sum").stat().st_size > 0


def test_the_toolchain_is_the_newest_that_a_part_asks_for() -> None:
    texts = [(part.folder / "go.mod").read_text() for part in ALL if part.go]
    lines = [re.search(r"^go (\d+)\.(\d+)\.(\d+)$", text, re.MULTILINE) for text in texts]
    assert max(tuple(map(int, line.groups())) for line in lines if line) == toolchain.NEEDED
    assert all(lines)


def test_every_folder_of_sources_belongs_to_a_part() -> None:
    assert {path.name for path in PARTS_FOLDER.iterdir()} == set(BY_NAME)


def test_flannel_asks_for_nothing_that_a_lab_does_not_build_anyway() -> None:
    assert CNI_PARTS["flannel"] == ()
    assert not {"cilium", "helm"} & {part.name for part in PARTS}


def test_a_module_in_a_parts_folder_is_part_of_what_it_is_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_module, "PARTS_FOLDER", tmp_path)
    part = BY_NAME["cilium"]
    inner = tmp_path / "cilium" / "inner" / "go.mod"
    inner.parent.mkdir(parents=True)
    inner.write_text("module one")
    before = part.fingerprint()
    inner.write_text("module two")
    assert part.fingerprint() != before


def test_a_folder_is_shared_whole_and_without_what_an_earlier_one_had(tmp_path: Path) -> None:
    cache, source = Cache(tmp_path / "cache"), tmp_path / "source"
    (source / "lib").mkdir(parents=True)
    (source / "lib" / "old.h").write_text("old")
    cache.share_copy(source, "cilium/bpf")
    (source / "lib" / "old.h").rename(source / "lib" / "new.h")
    cache.share_copy(source, "cilium/bpf")
    assert [path.name for path in (cache.share / "cilium/bpf/lib").iterdir()] == ["new.h"]


def test_kubernetes_says_its_version() -> None:
    flags = parts.kubernetes_version_flags()
    assert f"-X=k8s.io/component-base/version.gitVersion={parts.KUBERNETES}" in flags
    assert "-X=k8s.io/client-go/pkg/version.gitMinor=36" in flags


def test_a_part_is_held_only_once_it_is_sealed(tmp_path: Path) -> None:
    part = BY_NAME["etcd"]
    cache = filled(tmp_path, part)
    assert not cache.holds(part)
    cache.seal(part, "build")
    assert cache.holds(part)


def test_another_version_of_a_part_is_not_held(tmp_path: Path) -> None:
    part = BY_NAME["etcd"]
    cache = filled(tmp_path, part)
    cache.seal(part, "build")
    assert not cache.holds(replace(part, version="v9.9.9"))


def test_a_part_whose_binary_changed_or_went_is_not_held(tmp_path: Path) -> None:
    part = BY_NAME["etcd"]
    cache = filled(tmp_path, part)
    cache.seal(part, "build")
    (cache.bin / "etcdctl").write_text("something else")
    assert not cache.holds(part)
    cache.seal(part, "build")
    (cache.bin / "etcdctl").unlink()
    assert not cache.holds(part)
    assert cache.lacks(part) == ["bin/etcdctl"]


def test_a_cache_from_before_parts_had_tests_is_as_good() -> None:
    part = Part(name="none", version="1", binaries=())
    known = "4130ff906b20ce315e53914651d62a7b2748e0cf8e9ff6e90a77eee5c8d3251a"
    assert part.fingerprint() == known
    assert replace(part, tests={"none": "none/tests"}).fingerprint() != known


def test_half_a_stamp_is_none(tmp_path: Path) -> None:
    part = BY_NAME["crane"]
    cache = filled(tmp_path, part)
    cache.seal(part, "build")
    stamp = cache.stamp(part)
    stamp.write_text(stamp.read_text()[:20])
    assert not cache.holds(part)


def test_a_folder_gives_whole_parts_only(tmp_path: Path) -> None:
    part, cache = BY_NAME["etcd"], Cache(tmp_path / "cache")
    folder = tmp_path / "given"
    folder.mkdir()
    for name in ("etcd", "etcdctl"):
        (folder / name).write_text(name)
    report = Recorder()
    assert not copied(part, folder, cache, report)
    assert any("etcdutl" in line for line in report.lines)
    (folder / "etcdutl").write_text("etcdutl")
    assert copied(part, folder, cache, report)
    assert cache.holds(part)
    assert (cache.bin / "etcdutl").stat().st_mode & 0o111


def test_a_full_disk_is_told_before_a_build_begins(tmp_path: Path) -> None:
    huge = replace(BY_NAME["crane"], disk=1e6)
    with pytest.raises(KubeceptionError, match="building 1 parts takes 1000002 GiB"):
        need_disk([huge], Cache(tmp_path))
    need_disk([replace(huge, disk=-parts.BINARIES)], Cache(tmp_path))


def test_building_everything_is_promised_to_fit() -> None:
    assert parts.BINARIES + sum(part.disk for part in PARTS) <= 15


@pytest.mark.parametrize("text", ["auto", "release", "build"])
def test_a_source_by_its_kind(text: str) -> None:
    source = Source.parse(text)
    assert source.kind == text
    assert source.folder is None


def test_a_source_that_is_a_folder(tmp_path: Path) -> None:
    source = Source.parse(str(tmp_path))
    assert (source.kind, source.folder) == ("auto", tmp_path)


def test_a_source_that_is_nothing() -> None:
    with pytest.raises(UsageError, match="neither auto, release nor build"):
        Source.parse("/no/such/folder")
