from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from kubeception.errors import ConflictError, KubeceptionError, UsageError
from kubeception.lab import state
from kubeception.lab.state import LABS, NODES, Lab


def lab(name: str = "lab", index: int = 0) -> Lab:
    return Lab(name, index, Path("/state") / name)


def test_ranges_of_all_labs_are_apart() -> None:
    networks = [network for index in range(LABS) for network in lab(index=index).ranges]
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2))


def test_addresses_follow_from_the_index() -> None:
    third = lab(index=3)
    assert str(third.machine) == "10.200.3.1"
    assert str(third.node(1).address) == "10.200.3.2"
    assert third.server == "https://10.200.3.2:6443"
    assert third.registry == "10.200.3.1:5000"
    assert str(third.pod_range) == "10.211.0.0/16"
    assert str(third.service_range) == "10.201.48.0/20"


def test_every_node_has_an_address_in_the_range() -> None:
    assert lab().node(NODES).address in lab().node_range


@pytest.mark.parametrize("name", ["a", "lab", "abcdefgh", "abcdefghi", "a" * 30])
def test_link_names_fit_the_kernel(name: str) -> None:
    assert len(lab(name).node(NODES).link) <= 15


def test_long_names_that_begin_alike_have_links_of_their_own() -> None:
    assert lab("development-one").bridge != lab("development-two").bridge


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a/b", "..", "a" * 31, "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        state.check_name(name)


@pytest.mark.usefixtures("home")
def test_a_created_lab_is_found_again() -> None:
    made = state.create("one", [])
    assert state.load("one") == made
    assert state.labs() == [made]
    assert state.load("two") is None


@pytest.mark.usefixtures("home")
def test_a_labs_network_is_kept() -> None:
    made = state.create("one", [], "cilium")
    assert made.cni == "cilium"
    assert state.load("one") == made


@pytest.mark.usefixtures("home")
def test_a_lab_of_before_there_was_a_choice_is_on_flannel() -> None:
    made = state.create("one", [])
    (made.folder / "lab.json").write_text('{"name": "one", "index": 0}')
    assert state.load("one") == made
    assert made.cni == "flannel"


@pytest.mark.usefixtures("home")
def test_a_record_with_a_network_nobody_knows_is_broken() -> None:
    made = state.create("one", [])
    (made.folder / "lab.json").write_text('{"name": "one", "index": 0, "cni": "ether"}')
    with pytest.raises(KubeceptionError, match="no network is called 'ether'"):
        state.load("one")


@pytest.mark.usefixtures("home")
def test_a_second_lab_gets_the_next_index() -> None:
    assert [state.create(name, []).index for name in ("one", "two")] == [0, 1]


@pytest.mark.usefixtures("home")
def test_an_index_whose_ranges_are_routed_elsewhere_is_passed_over() -> None:
    assert state.create("one", [IPv4Network("10.208.5.0/24")]).index == 1


def test_no_free_index_is_an_error() -> None:
    with pytest.raises(KubeceptionError, match="no address range is free"):
        state.free_index("new", [], [IPv4Network("10.0.0.0/8")])


@pytest.mark.usefixtures("home")
def test_a_broken_record_says_what_to_remove() -> None:
    folder = state.create("one", []).folder
    (folder / "lab.json").write_text("{")
    with pytest.raises(KubeceptionError) as caught:
        state.load("one")
    assert "kubeception lab down --name one" in caught.value.hint


@pytest.mark.usefixtures("home")
def test_nodes_are_counted_by_number() -> None:
    made = state.create("one", [])
    for number in (10, 2, 1):
        (made.folder / "nodes" / str(number)).mkdir(parents=True)
    assert [place.number for place in made.nodes()] == [1, 2, 10]


def test_a_locked_lab_is_left_alone(tmp_path: Path) -> None:
    with (
        state.locked(tmp_path / "lab"),
        pytest.raises(ConflictError, match="another command"),
        state.locked(tmp_path / "lab"),
    ):
        pytest.fail("it was locked twice")


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with state.locked(tmp_path / "lab"):
            pass


def test_folders_follow_the_environment(home: Path) -> None:
    assert state.cache_folder() == home / ".cache" / "kubeception"
    assert state.labs_folder() == home / ".local" / "state" / "kubeception" / "labs"
