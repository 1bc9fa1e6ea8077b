import json
import re
import shlex
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from kubeception.api.v1alpha1 import ROOT_KEYS, USER_PATH
from kubeception.errors import SpecError
from kubeception.plan.bootstrap import (
    BOOTSTRAP,
    CERTIFICATE,
    REGISTRIES,
    Bootstrap,
    File,
    join_configuration,
    kubeadm_bootstrap,
    node_bootstrap,
    token_secret,
)
from kubeception.plan.kubelet import kubelet_configuration
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
    way_in = json.loads(files[BOOTSTRAP].content)
    assert way_in["users"][0]["user"] == {"token": TOKEN}
    assert ctx.endpoint
    assert way_in["clusters"][0]["cluster"]["server"] == ctx.endpoint.internal_url
    authority = files["/etc/kubernetes/pki/ca.crt"].content
    assert authority == ctx.pki.ca("serving").cert.decode()
    assert files[BOOTSTRAP].mode == "0600"
    assert not [file for file in boot.files if TOKEN in file.content and file.mode != "0600"]
    assert not [path for path in files if path.startswith("/etc/containerd")]


def test_a_kubelet_starts_at_once_and_finds_its_configuration_last() -> None:
    """What waits for that file finds all the others, of the machine too."""
    boot = node_bootstrap(plan(), pool(1), "m", TOKEN).on_systemd()
    assert boot.files[-1].path == "/var/lib/kubelet/config.yaml"
    start = ("systemctl", "--no-block", "start", "kubelet.service", "join.path", "join-waits.timer")
    assert boot.commands == (start,)
    files = {file.path: file.content for file in boot.files}
    assert CERTIFICATE in files["/etc/systemd/system/join.path"]
    assert f"ExecStart=/bin/rm -f {BOOTSTRAP}" in files["/etc/systemd/system/join.service"]
    assert not [path for path, text in files.items() if "kubeadm join" in text]


def test_a_machine_of_somebodys_own_is_joined_by_kubeadm() -> None:
    ctx, mine = plan(), pool(1, provider="ssh", ssh={"machines": [{"address": "192.0.2.7"}]})
    assert node_bootstrap(ctx, mine, "m", TOKEN) == kubeadm_bootstrap(ctx, mine, "m", TOKEN)
    assert kubeadm_bootstrap(ctx, mine, "m", TOKEN).commands[0][:2] == ("kubeadm", "join")


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
        boot = node_bootstrap(plan({"networking": {"cni": cni}}), pool(1), "machine-1", TOKEN)
        assert json.loads(boot.document())["podNetwork"] is (cni != "none")
        return [" ".join(command) for command in boot.on_systemd().commands]

    assert [c for c in commands("none") if "conf_template" in c] == commands("none")[:1]
    assert not [c for c in commands("flannel") if "conf_template" in c]


USER_DATA = {
    "files": [{"path": "/etc/sysctl.d/99-mine.conf", "content": "a=b\n"}],
    "packages": ["htop"],
    "commands": [["echo", "$(reboot); 'x'"]],
}


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me"


def test_who_may_log_in_as_root_and_sshd_runs_only_then() -> None:
    made = pool(1, userData={"sshAuthorizedKeys": [ED25519, ED25519]})
    config = yaml.safe_load(node_bootstrap(plan(), made, "m", TOKEN).on_systemd().cloud_config())
    (keys,) = [f for f in config["write_files"] if f["path"] == ROOT_KEYS]
    assert keys["content"] == f"{ED25519}\n{ED25519}\n"
    assert keys["permissions"] == "0600"
    assert "ssh.service" in config["bootcmd"][0]
    text = node_bootstrap(plan(), pool(1), "m", TOKEN).on_systemd().cloud_config()
    assert "ssh.service" not in text
    assert ROOT_KEYS not in text


def test_a_machine_keeps_to_the_address_its_node_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of the machine itself, with all it calls taken away."""
    files = {f.path: f.content for f in Bootstrap("m", (), ()).on_systemd().files}
    program: dict[str, Any] = {"__name__": "node_address"}
    exec(files["/usr/local/sbin/node-address"], program)
    answers = iter([None, "10.244.0.9", "10.244.0.9", OSError("gone"), "10.244.3.4"])
    done: list[str] = []

    def internal_ip() -> str | None:
        answer = next(answers, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def run(argv: list[str], **_: Any) -> None:
        done.append(" ".join(argv[2:]))

    monkeypatch.setitem(program, "internal_ip", internal_ip)
    monkeypatch.setitem(program, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setitem(program, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(program["os"].path, "exists", lambda _: True)
    with pytest.raises(KeyboardInterrupt):
        program["follow"]()
    assert done == [
        "flush dev lo label lo:node",
        "add 10.244.0.9/32 dev lo label lo:node",
        "flush dev lo label lo:node",
        "add 10.244.3.4/32 dev lo label lo:node",
    ]


def test_what_a_pool_adds_comes_after_what_makes_a_node() -> None:
    boot = node_bootstrap(plan(), pool(1, userData=USER_DATA), "machine-1", TOKEN)
    assert boot.files[0].path == "/etc/sysctl.d/99-mine.conf"
    assert boot.commands == node_bootstrap(plan(), pool(1), "machine-1", TOKEN).commands
    assert boot.after[-1] == ("echo", "$(reboot); 'x'")
    assert boot.after[1][-2:] == ("--", "htop")
    config = yaml.safe_load(boot.on_systemd().cloud_config())
    files = {file["path"]: file["content"] for file in config["write_files"]}
    lines = files["/usr/local/sbin/user-commands"].splitlines()
    assert [tuple(shlex.split(line)) for line in lines] == list(boot.after)
    unit = files["/etc/systemd/system/join.service"]
    assert "Wants=node-address.service user-commands.service" in unit
    assert "/etc/systemd/system/user-commands.service" in files


@pytest.mark.parametrize(
    "path",
    [
        "/etc/kubernetes/join.yaml",
        "/etc/systemd/system/x.service",
        "/etc/sysctl.d/../kubernetes/x",
        "/root/../etc/passwd",
        "/usr/local/bin/kubelet",
        "/opt/cni/bin/ptp",
        "/etc/passwd",
        "etc/apt/x",
        "/root/",
    ],
)
def test_what_a_node_is_made_of_can_not_be_replaced(path: str) -> None:
    with pytest.raises(SpecError, match=r"spec.userData.files\[0\].path"):
        pool(1, userData={"files": [{"path": path, "content": ""}]})


def test_no_file_of_ours_is_where_a_pool_may_write() -> None:
    ours = node_bootstrap(plan(), pool(1), "machine-1", TOKEN).on_systemd().files
    assert not [file.path for file in ours if re.match(USER_PATH, file.path)]


def test_a_kubelet_is_told_what_the_pool_says() -> None:
    own = {"maxPods": 20, "systemReserved": {"cpu": "100m"}}
    made, ctx = pool(1, kubelet=own), plan()
    (*_, config) = node_bootstrap(ctx, made, "m", TOKEN).files
    said = yaml.safe_load(config.content)
    runtime = {"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock"}
    assert said == kubelet_configuration(ctx) | runtime | own
    files = {f.path: f.content for f in kubeadm_bootstrap(ctx, made, "m", TOKEN).files}
    assert json.loads(files["/etc/kubernetes/patches/kubeletconfiguration0+merge.json"]) == own
    assert join_configuration(made, "m")["patches"] == {"directory": "/etc/kubernetes/patches"}
    with pytest.raises(SpecError, match=r"spec\.kubelet\.authentication: unknown key"):
        pool(1, kubelet={"authentication": {}})


def test_the_description_of_a_token_does_not_tell_it() -> None:
    secret = token_secret(TOKEN, "machine-1", "2026-01-02T03:34:05Z", {})
    assert secret["metadata"]["name"] == "bootstrap-token-abcdef"
    said = secret["stringData"].pop("token-secret")
    assert said == "0123456789abcdef"
    assert said not in json.dumps(secret)
