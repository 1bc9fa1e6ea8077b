import base64
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeception.errors import NotFoundError, UsageError
from kubeception.kube.kubeconfig import (
    Files,
    Origin,
    default_paths,
    load,
    merge,
    origin,
    remove,
    with_files,
)


def document(name: str, server: str = "https://one", user: str = "") -> dict[str, Any]:
    user = user or name
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "users": [{"name": user, "user": {"token": "t"}}],
    }


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


DEMO = Origin("default/demo", "uid-1", "", "host")


def test_the_first_of_two_entries_of_one_name_counts(tmp_path: Path) -> None:
    for index, server in enumerate(("https://first", "https://second")):
        (tmp_path / str(index)).write_text(yaml.safe_dump(document("a", server)))
    config = load((tmp_path / "0", tmp_path / "missing", tmp_path / "1"))
    assert config.current == "a"
    assert config.select("a")["clusters"][0]["cluster"]["server"] == "https://first"


def test_kubeconfig_of_the_environment_names_several(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    assert default_paths() == (home / ".kube" / "config",)
    monkeypatch.setenv("KUBECONFIG", "/a::/b")
    assert default_paths() == (Path("/a"), Path("/b"))


def test_an_unknown_context_names_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "c").write_text(yaml.safe_dump(document("a")))
    with pytest.raises(NotFoundError, match="no context 'b'") as caught:
        load((tmp_path / "c",)).select("b")
    assert caught.value.hint == "Contexts there: a."


@pytest.mark.parametrize("text", ["[]", "a: [", "clusters: 7", "contexts: [1]", "\x00"])
def test_what_is_no_kubeconfig_is_said_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(UsageError, match=str(tmp_path)):
        load((tmp_path / "c",))


def test_relative_files_are_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    config = document("a")
    config["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
    (tmp_path / "c").write_text(yaml.safe_dump(config))
    selected = load((tmp_path / "c",)).select("a")
    assert selected["clusters"][0]["cluster"]["certificate-authority"] == str(tmp_path / "ca.crt")


def test_merging_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "config"
    mine = {**document("host"), "preferences": {"colors": True}}
    path.write_text(yaml.safe_dump(mine))
    merge(path, document("demo"), DEMO)
    merged = read(path)
    assert merged["preferences"] == {"colors": True}
    assert [c["name"] for c in merged["contexts"]] == ["host", "demo"]
    assert merged["current-context"] == "demo"
    assert origin(merged["contexts"][1]["context"]) == Origin(
        "default/demo", "uid-1", "", "host", "host"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_removing_restores_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document("host")))
    before = read(path)
    merge(path, document("demo"), DEMO)
    merge(path, document("demo", "https://two"), DEMO)  # a second create
    assert remove(path, lambda known: known.uid == "uid-1")
    assert read(path) == before
    assert not remove(path, lambda known: known.uid == "uid-1")


def test_a_file_that_does_not_exist_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    merge(path, document("demo"), DEMO)
    assert read(path)["current-context"] == "demo"
    assert not remove(tmp_path / "other", lambda _: True)


def test_a_context_that_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document("demo")))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="context 'demo' is there and not ours"):
        merge(path, document("demo", "https://two"), DEMO)
    assert path.read_bytes() == before


def test_a_user_that_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document("host", user="admin")))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="user 'admin' is there and not ours"):
        merge(path, document("demo", user="admin"), DEMO)
    assert path.read_bytes() == before


def test_a_context_of_another_tenant_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    merge(path, document("demo"), DEMO)
    with pytest.raises(UsageError, match="default/demo"):
        merge(path, document("demo"), Origin("other/demo", "uid-2", "", "host"))


def test_two_tenants_of_one_user_name_keep_their_own_credentials(tmp_path: Path) -> None:
    path = tmp_path / "config"
    merge(path, document("a", user="a-admin"), Origin("default/a", "1"))
    merge(path, document("b", user="b-admin"), Origin("default/b", "2"))
    remove(path, lambda known: known.uid == "2")
    assert [u["name"] for u in read(path)["users"]] == ["a-admin"]


def test_a_shared_entry_stays_while_another_context_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "config"
    config = document("demo")
    merge(path, config, DEMO)
    both = read(path)
    both["contexts"].append({"name": "mine", "context": {"cluster": "demo", "user": "demo"}})
    path.write_text(yaml.safe_dump(both))
    remove(path, lambda _: True)
    assert [c["name"] for c in read(path)["clusters"]] == ["demo"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target = tmp_path / "real"
    target.write_text(yaml.safe_dump(document("host")))
    link = tmp_path / "config"
    link.symlink_to(target)
    merge(link, document("demo"), DEMO)
    assert link.is_symlink()
    assert len(read(target)["contexts"]) == 2


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "config"
    merge(path, document("demo"), DEMO)
    assert list(tmp_path.iterdir()) == [path]


def test_keys_become_files_in_memory() -> None:
    config = document("a")
    config["users"][0]["user"] = {"client-key-data": base64.b64encode(b"key").decode()}
    files = Files()
    made = with_files(config, files)
    path = Path(made["users"][0]["user"]["client-key"])
    assert path.read_bytes() == b"key"
    assert "client-key-data" in config["users"][0]["user"]
    files.close()
    assert not path.exists()


def test_what_was_current_before_all_that_go_is_current_again(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document("mine")))
    merge(path, document("lab"), Origin(kubeconfig="/lab"))
    merge(path, document("demo"), Origin("default/demo", "uid-1", "/lab", "lab"))
    assert remove(path, lambda found: found.kubeconfig == "/lab")
    assert read(path)["current-context"] == "mine"
