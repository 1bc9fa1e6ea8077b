"""Somebody types the page about three clusters, each in the one before."""

from pathlib import Path

import pytest

from tests.blocks import blocks_of
from tests.e2e.conftest import Lab
from tests.e2e.reader import Reader

SECONDS = 900


@pytest.mark.slow
@pytest.mark.timeout(SECONDS)
def test_three_clusters_deep(lab: Lab, tmp_path: Path) -> None:
    reader = Reader(lab, tmp_path)
    reader.type("pip install .")
    reader.type(f"kubeception lab kubeconfig --merge --name {lab.name}")
    try:
        for block in blocks_of(__file__):
            reader.follow(block)
    finally:
        reader.type("kubeception delete a --cascade")
        reader.close()
    said = "\n".join(reader.said)
    assert "pod/hello condition met" in said
    assert " mtu 1250 " in said
