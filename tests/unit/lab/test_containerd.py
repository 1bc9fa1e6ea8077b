import json
import tomllib
from pathlib import Path

import pytest

from kubeception.lab import containerd
from kubeception.lab.state import Lab

LAB = Lab("lab", 2, Path("/state/lab"))


@pytest.mark.parametrize("raises_limits", [True, False])
def test_scores_are_restricted_only_where_they_must_be(raises_limits: bool) -> None:
    config = tomllib.loads(containerd.config(raises_limits=raises_limits, template=True))
    runtime = config["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is not raises_limits


def test_the_pause_image_is_pinned() -> None:
    plugins = tomllib.loads(containerd.config(raises_limits=True, template=True))["plugins"]
    pinned = plugins["io.containerd.cri.v1.images"]["pinned_images"]
    assert pinned == {"sandbox": "registry.k8s.io/pause:3.10.1"}


@pytest.mark.parametrize("template", [True, False])
def test_a_network_with_a_configuration_of_its_own_gets_no_template(template: bool) -> None:
    config = tomllib.loads(containerd.config(raises_limits=True, template=template))
    cni = config["plugins"]["io.containerd.cri.v1.runtime"]["cni"]
    assert ("conf_template" in cni) is template
    assert cni["conf_dir"] == "/etc/cni/net.d"


def test_the_template_is_json_around_containerds_own_placeholder() -> None:
    conflist = json.loads(containerd.cni_template(mtu=1400))
    first = conflist["plugins"][0]
    assert first["mtu"] == 1400
    assert first["ipam"]["ranges"] == [[{"subnet": "{{.PodCIDR}}"}]]


@pytest.mark.parametrize("upstream", [True, False])
def test_mirrors_come_first_and_the_real_registry_only_when_allowed(upstream: bool) -> None:
    hosts = {name: tomllib.loads(text) for name, text in containerd.mirrors(LAB, upstream=upstream)}
    assert set(hosts) == {*containerd.MIRRORED, "10.200.2.1:5000"}
    assert all(list(host["host"]) == ["http://10.200.2.1:5000"] for host in hosts.values())
    real = "https://registry-1.docker.io" if upstream else "http://10.200.2.1:5000"
    assert hosts["docker.io"]["server"] == real
