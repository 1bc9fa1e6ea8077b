import base64
import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from kubeception.plan.bootstrap import Bootstrap, File
from kubeception.plan.endpoint import Endpoint
from kubeception.plan.render import text
from kubeception.plan.script import script
from kubeception.plan.way import forward

INSIDE = Endpoint("192.0.2.10", "203.0.113.10", 30443, tunnel_port=30132)
SERVICE = "10.96.0.1"
LINES = text("machine.sh", {})
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)


def calls(boot: Bootstrap, endpoint: Endpoint = INSIDE) -> list[list[str]]:
    """What is added to the fixed lines, as a shell splits it."""
    whole = script(boot, forward(endpoint, SERVICE))
    assert whole.startswith(LINES)
    lines = whole.removeprefix(LINES).split("\n")
    assert (lines[:2], lines[-3:]) == (["", "main() {"], ["}", "main </dev/null", ""])
    return [shlex.split(line) for line in lines[2:-3]]


@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_data_is_nothing_but_arguments(content: str, command: list[str]) -> None:
    boot = Bootstrap("node-1", (File("/etc/x y", content, "0600"),), (tuple(command),))
    found = calls(boot)
    assert found[0] == ["begin", "node-1"]
    [file] = [line for line in found if line[:2] == ["file", "/etc/x y"]]
    assert (file[2], base64.b64decode(file[3]).decode()) == ("0600", content)
    assert [line[1:] for line in found if line[0] == "attempt"] == [command]
    assert found[-1] == ["end", "done", "0"]


def test_every_function_that_is_called_is_there() -> None:
    defined = set(re.findall(r"^(\w+)\(\) \{", LINES, re.MULTILINE))
    used = {line[0] for line in calls(Bootstrap("n", (), (("true",),), (("true",),)))}
    assert used == defined


def test_the_address_inside_leads_outside() -> None:
    rules = forward(INSIDE, SERVICE)
    assert f"{SERVICE} . 443 : 203.0.113.10 . 30443" in rules, (
        "else kube-proxy would send pods inside"
    )
    assert "192.0.2.10 . 6443 : 203.0.113.10 . 30443" in rules
    assert "192.0.2.10 . 8132 : 203.0.113.10 . 30132" in rules


@pytest.mark.parametrize("host", ["192.0.2.10", "api.example.org"])
def test_nothing_leads_where_there_is_no_other_address(host: str) -> None:
    endpoint = replace(INSIDE, host=host)
    assert forward(endpoint, SERVICE) == ""
    assert ["endpoint"] not in calls(Bootstrap("n", (), ()), endpoint)


def test_a_network_of_its_own_is_not_made() -> None:
    assert ["network"] in calls(Bootstrap("n", (), ()))
    assert ["network"] not in calls(Bootstrap("n", (), (), pod_network=False))
