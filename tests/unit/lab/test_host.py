import pytest

from kubeception.errors import UsageError
from kubeception.lab import host, state
from kubeception.lab.parts import Source
from tests.reports import Recorder


@pytest.mark.usefixtures("home")
def test_a_lab_keeps_the_network_it_was_made_with() -> None:
    state.create("one", [], "cilium")
    with pytest.raises(
        UsageError, match="lab one are on cilium, and a lab can't change to flannel"
    ):
        host.up("one", None, Source(), Recorder(), cni="flannel")
