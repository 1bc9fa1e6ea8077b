import pytest

from kubeception.plan.versions import skew


@pytest.mark.parametrize(
    ("kubelet", "said"),
    [
        ("v1.36.3", ""),
        ("v1.36.0", ""),
        ("v1.33.9", ""),
        ("v1.36.4", "newer"),
        ("v1.37.0", "newer"),
        ("v1.32.9", "3 minors older"),
    ],
)
def test_which_kubelets_serve_a_control_plane(kubelet: str, said: str) -> None:
    found = skew("v1.36.3", kubelet)
    assert said in found
    assert bool(found) == bool(said)
