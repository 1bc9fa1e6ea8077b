import json
import re
from dataclasses import replace

import yaml
from hypothesis import given, strategies as st

from kubeception.plan.bootstrap import (
    REGISTRIES,
    Bootstrap,
    File,
    join_configuration,
    node_bootstrap,
    token_secret,
)
from kubeception.plan.offline import offline_facts
from tests.plans import NOW, plan, pool, tenant

TOKEN = "abcdef.0123456789abcdef"


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)


@given(
    st.lists(st.tuples(texts, texts), max_size=3), st.lists(st.lists(texts, min_size=1), max_size=3)
)
def test_user_data_says_exactly_the_files_and_commands(
    files: list[tuple[str, str]], commands: list[list[str]]
) -> None:
    boot = Bootstrap(
        "machine",
        tuple(File(path, content) for path, content in files),
        tuple(tuple(command) for command in commands),
    )
    text = boot.cloud_config()
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    assert [(f["path"], f["content"]) for f in config["write_files"]] == files
    assert config["bootcmd"][: len(commands)] == commands
    assert config["hostname"] == "machine"


def test_user_data_holds_no_password_and_no_login() -> None:
    config = yaml.safe_load(Bootstrap("m", (), ()).cloud_config())
    assert config["users"] == []
    assert config["disable_root"] is True
    assert not re.search("passw|ssh_authorized", json.dumps(config))


def test_only_the_modules_in_use_are_run() -> None:
    config = yaml.safe_load(Bootstrap("m", (), ()).cloud_config())
    assert config["cloud_init_modules"] == ["set_hostname", "write_files", "bootcmd"]
    assert config["cloud_config_modules"] == config["cloud_final_modules"] == []


def test_a_node_joins_with_its_own_token_and_registers_as_its_pool_says() -> None:
    made = pool(
        1, labels={"a": "b", "c": "d"}, taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]
    )
    join = join_configuration(made, "machine-1")
    registration = join["nodeRegistration"]
    assert registration["name"] == "machine-1"
    assert registration["taints"] == [{"key": "k", "value": "v", "effect": "NoSchedule"}]
    arguments = {entry["name"]: entry["value"] for entry in registration["kubeletExtraArgs"]}
    assert arguments == {"cloud-provider": "external", "node-labels": "a=b,c=d"}


def test_a_nodes_files() -> None:
    ctx = plan()
    boot = node_bootstrap(ctx, pool(1), "machine-1", TOKEN)
    files = {file.path: file for file in boot.files}
    discovery = json.loads(files["/etc/kubernetes/discovery.conf"].content)
    assert discovery["users"][0]["user"] == {"token": TOKEN}
    assert ctx.endpoint
    assert discovery["clusters"][0]["cluster"]["server"] == ctx.endpoint.internal_url
    assert files["/etc/kubernetes/discovery.conf"].mode == "0600"
    assert not [file for file in boot.files if TOKEN in file.content and file.mode != "0600"]
    assert not [path for path in files if path.startswith("/etc/containerd")]


def test_a_mirror_stands_in_for_every_registry() -> None:
    facts = offline_facts(tenant(), NOW)
    host = replace(facts.host, registry_mirror="10.0.0.1:5000")
    ctx = plan(facts=replace(facts, host=host))
    boot = node_bootstrap(ctx, pool(1), "machine-1", TOKEN)
    files = {file.path: file.content for file in boot.files}
    for registry in REGISTRIES:
        assert "http://10.0.0.1:5000" in files[f"/etc/containerd/certs.d/{registry}/hosts.toml"]


def test_a_tenant_with_a_network_of_its_own_gets_none_of_the_images() -> None:
    def commands(cni: str) -> list[str]:
        ctx = plan({"networking": {"cni": cni}})
        return [" ".join(c) for c in node_bootstrap(ctx, pool(1), "machine-1", TOKEN).commands]

    assert [c for c in commands("none") if "conf_template" in c] == commands("none")[:1]
    assert not [c for c in commands("flannel") if "conf_template" in c]


def test_the_description_of_a_token_does_not_tell_it() -> None:
    secret = token_secret(TOKEN, "machine-1", "2026-01-02T03:34:05Z", {})
    assert secret["metadata"]["name"] == "bootstrap-token-abcdef"
    said = secret["stringData"].pop("token-secret")
    assert said == "0123456789abcdef"
    assert said not in json.dumps(secret)
