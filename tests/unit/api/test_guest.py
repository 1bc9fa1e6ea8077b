import base64

import pytest

from kubeception.errors import SpecError
from tests.plans import pool


def key(kind: str, *parts: bytes, comment: str = "") -> str:
    fields = (kind.encode(), *parts)
    blob = b"".join(len(field).to_bytes(4) + field for field in fields)
    return " ".join(filter(None, (kind, base64.b64encode(blob).decode(), comment)))


ED25519 = key("ssh-ed25519", bytes(32))


@pytest.mark.parametrize(
    "line",
    [
        ED25519,
        key("ssh-rsa", b"\1\0\1", b"\0" + bytes(256), comment="me@here"),
        key("ecdsa-sha2-nistp256", b"nistp256", bytes(65), comment="my own key"),
        key("sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"),
    ],
)
def test_public_keys_are_taken_as_they_are(line: str) -> None:
    data = pool(1, userData={"sshAuthorizedKeys": [line]}).spec.user_data
    assert data.ssh_authorized_keys == (line,)


@pytest.mark.attack("A21")
@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        f'command="reboot" {ED25519}',
        f"no-pty {ED25519}",
        f"{ED25519}\n",
        f"{ED25519}\n{ED25519}",
        f"{ED25519} a\tb",
        ED25519.replace("ssh-ed25519 ", "ssh-rsa "),
        ED25519.replace(" ", "  "),
        ED25519[:-8],
        "ssh-ed25519 AAAA",
        "ssh-ed25519 /////w==",
        "ssh-ed25519 A",
        key("ssh-dss", bytes(20)),
        key("ssh-ed25519"),
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_all_else_is_refused(line: str) -> None:
    with pytest.raises(SpecError) as caught:
        pool(1, userData={"sshAuthorizedKeys": [line]})
    (problem,) = caught.value.problems
    assert problem.startswith("spec.userData.sshAuthorizedKeys[0]: ")


def test_keys_and_a_file_of_keys_do_not_go_together() -> None:
    files = [{"path": "/root/.ssh/authorized_keys", "content": ""}]
    assert pool(1, userData={"files": files})
    with pytest.raises(SpecError, match=r"files has /root/\.ssh/authorized_keys too"):
        pool(1, userData={"files": files, "sshAuthorizedKeys": [ED25519]})


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ({"provider": "pod"}, "a pod runs no sshd"),
        (
            {"provider": "ssh", "ssh": {"machines": [{"address": "198.51.100.7"}]}},
            "its owner's to say",
        ),
    ],
)
def test_nobody_is_let_into_other_machines(rest: dict[str, object], why: str) -> None:
    assert pool(1, userData={"sshAuthorizedKeys": []}, **rest)
    with pytest.raises(SpecError, match=why):
        pool(1, userData={"sshAuthorizedKeys": [ED25519]}, **rest)


def test_network_data_is_a_mapping() -> None:
    text = "version: 2\nethernets: {eth0: {dhcp4: true}}\n"
    options = pool(1, kubevirt={"networkData": text}).spec.kubevirt
    assert options
    assert options.network_data == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must say a mapping"),
        ("- a", "must say a mapping"),
        ("a: 1\nb: [", "is not YAML, line 2"),
        ("a: 2026-13-45", "is not YAML"),
        ("[" * 8000, "is not YAML"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
        ("{a: 1}" + " " * 8192, "at most 8192"),
    ],
)
def test_other_network_data_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        pool(1, kubevirt={"networkData": text})
    (problem,) = caught.value.problems
    assert problem.startswith("spec.kubevirt.networkData: ")
    assert why in problem


def test_a_machine_that_is_to_move_has_no_disk_of_one_node() -> None:
    disk = {"size": "20Gi", "accessMode": "ReadWriteOnce"}
    assert pool(1, kubevirt={"rootDisk": disk})
    assert pool(1, kubevirt={"rootDisk": {"size": "20Gi"}, "eviction": "LiveMigrate"})
    with pytest.raises(SpecError, match="accessMode ReadWriteMany"):
        pool(1, kubevirt={"rootDisk": disk, "eviction": "LiveMigrate"})
