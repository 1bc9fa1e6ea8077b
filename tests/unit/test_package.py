"""What an installed package must contain beside its modules."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kubeception"


def test_every_data_file_is_package_data() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["kubeception"].split()
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    there = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "_data" not in path.parts
    }
    data = {path for path in there if path.suffix != ".py" or not in_package(path.parent)}
    assert not data - packed


def in_package(folder: Path) -> bool:
    """Whether modules of this folder are found by setuptools."""
    return (folder / "__init__.py").exists()
