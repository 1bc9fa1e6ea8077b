"""The client against a real API server."""

from collections.abc import Iterator

import pytest

from kubeception.errors import ApiError, ConflictError, NotFoundError
from kubeception.kube.client import Cluster, Object
from tests.integration.servers import ApiServer, free_port


@pytest.fixture
def namespace(host: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-").lower()[:60].rstrip("-")
    host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    host.delete("Namespace", name)


def config_map(namespace: str, name: str, **data: str) -> Object:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def test_apply_get_list_delete(host: Cluster, namespace: str) -> None:
    made = host.apply(config_map(namespace, "a", x="1"))
    assert (made["kind"], made["data"]) == ("ConfigMap", {"x": "1"})
    assert host.get("ConfigMap", "a", namespace) == made
    listed = [obj for obj in host.list("ConfigMap", namespace) if obj["metadata"]["name"] == "a"]
    assert listed == [made]
    assert host.delete("ConfigMap", "a", namespace)
    assert host.get("ConfigMap", "a", namespace) is None
    assert not host.delete("ConfigMap", "a", namespace)


def test_what_one_manager_no_longer_says_goes_and_what_others_say_stays(
    host: Cluster, namespace: str
) -> None:
    host.apply(config_map(namespace, "a", mine="1", gone="1"), manager="one")
    host.apply(config_map(namespace, "a", theirs="1"), manager="two")
    assert host.apply(config_map(namespace, "a", mine="1"), manager="one")["data"] == {
        "mine": "1",
        "theirs": "1",
    }


def test_only_the_object_meant_is_deleted(host: Cluster, namespace: str) -> None:
    host.apply(config_map(namespace, "a"))
    assert not host.delete("ConfigMap", "a", namespace, uid="of-an-earlier-one")
    assert host.get("ConfigMap", "a", namespace)


def test_pages_are_put_together(
    host: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubeception.kube.client.PAGE", 2)
    for index in range(5):
        host.apply(config_map(namespace, f"a{index}"))
    found = [obj["metadata"]["name"] for obj in host.list("ConfigMap", namespace)]
    assert [name for name in found if name.startswith("a")] == ["a0", "a1", "a2", "a3", "a4"]


def test_a_kind_the_server_lacks_is_an_empty_list(tenant: Cluster) -> None:
    assert tenant.list("VirtualMachine") == []


def test_errors_say_what_was_done_to_what(host: Cluster, namespace: str) -> None:
    with pytest.raises(NotFoundError, match='writing ConfigMap nowhere/a: namespaces "nowhere"'):
        host.apply(config_map("nowhere", "a"))
    host.apply(config_map(namespace, "a"))
    with pytest.raises(ConflictError, match=f"creating ConfigMap {namespace}/a"):
        host.create(config_map(namespace, "a"))
    bad = {**config_map(namespace, "a"), "daat": {}}
    with pytest.raises(ApiError, match="daat") as caught:
        host.apply(bad)
    assert caught.value.status in {400, 500}


def test_a_token_nobody_knows(host_server: ApiServer) -> None:
    config = {**host_server.kubeconfig, "users": [{"name": "it", "user": {"token": "wrong"}}]}
    with Cluster(config, "host") as host, pytest.raises(ApiError, match="Unauthorized") as caught:
        host.list("Secret", "default")
    assert caught.value.status == 401
    assert "wrong" not in f"{caught.value}{caught.value.hint}"


def test_a_user_without_rights(host_server: ApiServer) -> None:
    config = {**host_server.kubeconfig, "users": []}
    config["contexts"] = [{"name": "it", "context": {"cluster": "it"}}]
    with Cluster(config, "host") as host, pytest.raises(ApiError) as caught:
        host.list("Secret", "default")
    assert caught.value.status in (401, 403)


def test_nobody_listens() -> None:
    config = kubeconfig(f"https://127.0.0.1:{free_port()}")
    with (
        Cluster(config, "host") as host,
        pytest.raises(ApiError, match="connection refused") as caught,
    ):
        host.version()
    assert caught.value.status == 0


def test_another_clusters_certificate_is_not_trusted(host_server: ApiServer) -> None:
    server = host_server.kubeconfig["clusters"][0]["cluster"]["server"]
    with Cluster(kubeconfig(server), "host") as host, pytest.raises(ApiError) as caught:
        host.version()
    assert (caught.value.status, caught.value.reason) == (0, "TLS")


def kubeconfig(server: str) -> Object:
    """Of a server whose CA is none of ours, so that the system's would count."""
    return {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
