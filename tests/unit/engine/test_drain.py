from typing import Any

import pytest

from kubeception.engine import drain, pods

ANY = {"operator": "Exists"}
CORDON = {"key": pods.CORDONED["key"], "operator": "Exists", "effect": "NoSchedule"}
OTHER = {"key": "example.com/gpu", "operator": "Exists"}
EVICTING = {"operator": "Exists", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"metadata": {}}, True),
        ({"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}}, True),
        ({"metadata": {"ownerReferences": [{"kind": "DaemonSet"}]}}, False),
        ({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}, False),
        ({"metadata": {}, "status": {"phase": "Succeeded"}}, False),
        ({"metadata": {}, "spec": {"tolerations": [OTHER, EVICTING]}}, True),
        ({"metadata": {}, "spec": {"tolerations": [OTHER, CORDON]}}, False),
        ({"metadata": {}, "spec": {"tolerations": [ANY]}}, False),
    ],
)
def test_which_pods_must_leave(pod: dict[str, Any], expected: bool) -> None:
    assert drain.leaves(pod) is expected
