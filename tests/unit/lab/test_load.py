import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kubeception.errors import UsageError
from kubeception.lab.load import full_name, names_of, path_of


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.29", "docker.io/library/nginx:1.29"),
        ("me/app", "docker.io/me/app:latest"),
        ("docker.io/me/app:2", "docker.io/me/app:2"),
        ("quay.io/me/app", "quay.io/me/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("10.0.0.1:5000/app", "10.0.0.1:5000/app:latest"),
        ("ghcr.io/me/app@sha256:00", "ghcr.io/me/app@sha256:00"),
    ],
)
def test_names_are_completed(name: str, full: str) -> None:
    assert full_name(name) == full


def test_a_mirror_has_an_image_without_its_host() -> None:
    assert path_of("10.0.0.1:5000/me/app:1") == "me/app:1"


def archive(tmp_path: Path, manifest: Any) -> Path:
    path = tmp_path / "image.tar"
    body = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return path


def test_an_archive_tells_its_names(tmp_path: Path) -> None:
    assert names_of(archive(tmp_path, [{"RepoTags": ["me/app:1", "me/app:2"]}])) == [
        "me/app:1",
        "me/app:2",
    ]


def test_an_archive_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has a name"):
        names_of(archive(tmp_path, [{"RepoTags": None}]))


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("no")
    with pytest.raises(UsageError, match="not an archive of images"):
        names_of(tmp_path / "image.tar")
