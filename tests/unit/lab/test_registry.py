import json
from pathlib import Path

from kubeception.lab.registry import BUILD, Registry, settings
from kubeception.lab.state import Lab


def test_it_listens_on_the_labs_bridge_and_says_whose_it_is() -> None:
    registry = Registry(Lab("lab", 4, Path("/state/lab")), Path("/cache/bin"), Path("/cache/reg"))
    config = json.loads(json.dumps(registry.config()))
    assert config["http"]["addr"] == "10.200.4.1:5000"
    assert config["http"]["headers"] == {"X-Kubeception-Lab": ["lab"]}
    assert config["storage"]["filesystem"]["rootdirectory"] == "/cache/reg"


def test_that_of_a_build_is_nobody_elses() -> None:
    config = settings("127.0.0.1:4321", Path("/cache/reg"), BUILD)
    assert config["http"] == {"addr": "127.0.0.1:4321", "headers": {"X-Kubeception-Lab": [BUILD]}}
    assert config["storage"]["filesystem"]["rootdirectory"] == "/cache/reg"
