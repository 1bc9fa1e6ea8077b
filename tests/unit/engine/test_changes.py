import signal
import threading
import time
from typing import cast

import pytest

from kubeception import names
from kubeception.engine.changes import Changes
from kubeception.kube.client import Cluster, Object


def test_a_signal_that_ends_no_sleep_is_seen_soon() -> None:
    """One that another thread takes: the kernel leaves the main thread's sleep alone."""
    began = time.monotonic()
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        Changes().wait(20)
    assert time.monotonic() - began < 5


def test_a_wait_ends_with_a_change_or_in_time() -> None:
    changes = Changes()
    changes.wait(0)
    began = time.monotonic()
    changes.wait(0.6)
    assert 0.6 <= time.monotonic() - began < 5
    threading.Timer(0.1, changes.wake).start()
    changes.wait(20)
    assert time.monotonic() - began < 5
    changes.wake()
    changes.wait(20)
    assert time.monotonic() - began < 5


HOST = cast("Cluster", object())


def seen(kind: str, version: str, status: Object | None = None, *labels: str) -> Object:
    meta: Object = {"name": "a", "namespace": "b", "resourceVersion": version}
    meta["labels"] = dict.fromkeys(labels, "some")
    return {"kind": kind, "metadata": meta, "spec": {"replicas": 1}, "status": status or {}}


def wakes(changes: Changes, event: str, obj: Object) -> bool:
    """Whether a wait would end with this event."""
    changes._heard(HOST, event, obj)
    return changes._happened()


def test_what_a_pass_wrote_is_no_news_even_if_it_is_heard_before_the_pass_says_so() -> None:
    changes = Changes()
    changes._heard(HOST, "ADDED", seen("Service", "1"))
    changes.saw(HOST, [seen("Service", "1")])
    began = time.monotonic()
    changes.wait(0.2)
    assert time.monotonic() - began >= 0.2
    assert wakes(changes, "MODIFIED", {**seen("Service", "2"), "spec": {"ports": []}})


def test_an_end_is_news() -> None:
    changes = Changes()
    changes.saw(HOST, [seen("Service", "1")])
    assert wakes(changes, "DELETED", seen("Service", "2"))
    assert wakes(changes, "DELETED", seen("Service", "3"))


def test_of_a_workload_its_readiness_is_news_and_no_step_before() -> None:
    changes = Changes()
    changes.saw(HOST, [seen("Deployment", "1")])
    assert not wakes(changes, "MODIFIED", seen("Deployment", "2", {"unavailableReplicas": 1}))
    ready = {"readyReplicas": 1, "updatedReplicas": 1}
    assert wakes(changes, "MODIFIED", seen("Deployment", "3", ready))
    other = seen("Deployment", "4", ready)
    other["metadata"]["generation"] = 2  # as of each other spec
    assert wakes(changes, "MODIFIED", {**other, "spec": {"paused": True}})


def test_a_daemonset_without_nodes_is_ready_once_it_was_looked_at() -> None:
    changes = Changes()
    unseen = seen("DaemonSet", "1")
    unseen["metadata"]["generation"] = 1
    changes.saw(HOST, [unseen])
    looked_at = {"observedGeneration": 1, "desiredNumberScheduled": 0}
    there = {**unseen, "metadata": {**unseen["metadata"], "resourceVersion": "2"}}
    assert wakes(changes, "MODIFIED", {**there, "status": looked_at})


def test_of_pods_only_those_of_a_control_plane_are_looked_at_by_their_workload() -> None:
    changes = Changes()
    ours = (names.CLUSTER_LABEL, names.COMPONENT_LABEL)
    assert wakes(changes, "ADDED", seen("Pod", "1", {}, *ours))
    assert not wakes(changes, "MODIFIED", seen("Pod", "2", {"phase": "Running"}, *ours))
    node = (names.CLUSTER_LABEL, names.PROVIDER_LABEL)
    assert wakes(changes, "MODIFIED", seen("Pod", "3", {}, *node))
    assert wakes(changes, "MODIFIED", seen("Pod", "4", {"phase": "Running"}, *node))


@pytest.mark.parametrize("broken", [{"spec": None}, {"status": []}])
def test_what_makes_no_sense_is_news_and_harms_nothing(broken: Object) -> None:
    assert wakes(Changes(), "ADDED", {**seen("Deployment", "1"), **broken})
