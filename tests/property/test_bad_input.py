"""Generated and hand-picked input: what is taken can be rendered, what is refused is told by its field."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings, strategies as st

from kubeception.api.v1alpha1 import parse_cluster, parse_pool
from kubeception.cli import kubeception
from kubeception.errors import KubeceptionError, SpecError
from kubeception.plan.context import PlanContext
from kubeception.plan.offline import offline_facts
from tests.plans import NOW, FixedKeys, everything

EXAMPLES: Final = int(os.environ.get("KUBECEPTION_FUZZ", "60"))
"""How many specs are generated; `make fuzz` sets 10,000."""

names = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
    st.sampled_from(
        ["", "..", "-", "A", "xn--nxasmq6b", "a" * 64, "a" * 253, "\u202ea", "é", "\0"]
    ),
)
cidrs = st.sampled_from(
    ["10.0.0.0/8", "10.128.0.0/16", "10.128.0.1/16", "0.0.0.0/0", "10.1.2.3/32", "fd00::/64", "x"]
)
quantities = st.sampled_from(["1Gi", "512Mi", "-1Gi", "0x10", "1e3", "9" * 30 + "Ti", "", "NaN"])
texts = st.one_of(st.text(max_size=12), st.sampled_from(["{{ x }}", "#include http://x", "a\nb"]))
odd = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.lists(texts))


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A mapping with any of these fields, or now and then something else."""
    return st.one_of(st.fixed_dictionaries({}, optional=fields), st.nothing() | odd)


issuers = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["corp", "robots", "system", "kubeadm", "a:"]),
        "url": st.sampled_from(
            ["https://id.example", "https://ci.example/a", "http://a", "https://a?b", "{{ x }}"]
        ),
        "audiences": st.lists(st.sampled_from(["kubernetes", "api://a"]) | texts, max_size=2),
    },
    optional={
        "certificateAuthority": texts,
        "usernameClaim": st.sampled_from(["sub", "email"]) | texts,
        "groupsClaim": texts,
        "requiredClaims": st.dictionaries(st.sampled_from(["hd", "a b"]), texts, max_size=2),
        "colour": odd,
    },
)
clusters = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from(["v1.36.3", "v1.35.0", "v1.34.9", "1.36.3", "v1.2.3", "v2"]),
        "networking": st.fixed_dictionaries(
            {},
            optional={
                "podCIDR": cidrs,
                "serviceCIDR": cidrs,
                "dnsDomain": st.sampled_from(["cluster.local", "a.b", "-", "*", "A"]),
                "cni": st.sampled_from(["flannel", "none", "calico", None]),
            },
        ),
        "datastore": st.fixed_dictionaries(
            {},
            optional={
                "storage": st.sampled_from(["Auto", "Persistent", "Ephemeral", "tape"]),
                "size": quantities,
                "storageClassName": texts,
            },
        ),
        "exposure": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["NodePort", "ClusterIP", "LoadBalancer", "Ingress"]),
                "host": texts,
                "extraSANs": st.lists(
                    st.sampled_from(["a.example", "*.example", "10.0.0.1", "::1", "a b"]),
                    max_size=3,
                ),
            },
        ),
        "addons": maybe(coreDNS=st.booleans(), kubeProxy=odd, localPath=st.booleans()),
        "controlPlane": maybe(
            apiServer=maybe(extraArgs=st.dictionaries(texts, texts, max_size=2)),
            authentication=maybe(issuers=st.lists(issuers, max_size=3)),
        ),
        "paused": odd,
        "colour": odd,
    },
)
pools = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.sampled_from([0, 1, 2, -1, 10**6, "3", 1.5, None]),
        "labels": st.dictionaries(texts, texts, max_size=2),
        "taints": st.lists(
            maybe(key=texts, effect=st.sampled_from(["NoSchedule", "x"])), max_size=2
        ),
        "provider": st.sampled_from(["kubevirt", "pod", "x", None]),
        "pod": maybe(cpus=st.integers(-1, 300), memory=quantities, image=texts),
        "kubevirt": st.fixed_dictionaries(
            {},
            optional={
                "cpus": st.integers(-1, 300),
                "memory": quantities,
                "image": texts,
                "rootDisk": maybe(size=quantities, storageClassName=texts),
                "networkData": texts | st.sampled_from(["{a: 1}", "&a [*a]", "{" * 5000]),
                "eviction": st.sampled_from(["Replace", "LiveMigrate", "x"]),
            },
        ),
        "userData": maybe(sshAuthorizedKeys=st.lists(texts, max_size=2)),
    },
)


def rendered(name: str, spec: Any, pool: Any) -> int:
    """How many objects are made of it. Raises SpecError."""
    cluster = parse_cluster({"metadata": {"name": name, "uid": "u"}, "spec": spec})
    reference = {"clusterRef": {"name": name}, **pool}
    parsed = parse_pool({"metadata": {"name": name}, "spec": reference})
    objects = everything(PlanContext(cluster, (parsed,), offline_facts(cluster, NOW), FixedKeys()))
    yaml.dump_all(objects, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    return len(objects)


@pytest.mark.attack("A21")
@settings(max_examples=EXAMPLES)
@given(names, clusters, pools)
def test_a_spec_is_rendered_or_refused_by_its_field(name: str, spec: Any, pool: Any) -> None:
    try:
        assert rendered(name, spec, pool) > 20
    except SpecError as error:
        assert error.problems  # noqa: PT017
        for problem in error.problems:
            field = problem.partition(": ")[0]
            assert field.startswith(("spec", "metadata.name"))
    except KubeceptionError as error:  # a plan that can't be, such as ranges without room
        assert error.message  # noqa: PT017


HEAD: Final = "apiVersion: kubeception.io/v1alpha1\nkind: TenantCluster\nmetadata: {name: acme}\n"
BOMB: Final = (
    HEAD
    + "spec:\n"
    + "  a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
)

BAD_FILES: Final = {
    "no spec field": (HEAD + "spec: {colour: blue}", "spec.colour"),
    "the norway problem": (
        HEAD + "spec: {networking: {dnsDomain: no}}",
        "spec.networking.dnsDomain",
    ),
    "a number that is no version": (HEAD + "spec: {version: 1.36}", "spec.version"),
    "a float that is no quantity": (HEAD + "spec: {datastore: {size: 1e3}}", "spec.datastore.size"),
    "an octal that is no quantity": (
        HEAD + "spec: {datastore: {size: 0x10}}",
        "spec.datastore.size",
    ),
    "a negative quantity": (HEAD + "spec: {datastore: {size: -1Gi}}", "spec.datastore.size"),
    "a quantity beyond all": (
        HEAD + f"spec: {{datastore: {{size: {'9' * 30}Ti}}}}",
        "spec.datastore.size",
    ),
    "a thousand labels": (
        HEAD + "---\nkind: NodePool\nmetadata: {name: p}\n"
        f"spec: {{clusterRef: {{name: acme}}, labels: {{{', '.join(f'k{i}: v' for i in range(1000))}}}}}",
        "spec.labels",
    ),
    "a wildcard as endpoint": (
        HEAD + "spec: {exposure: {host: '*.example'}}",
        "spec.exposure.host",
    ),
    "a template as taint": (
        HEAD + "---\nkind: NodePool\nmetadata: {name: p}\n"
        "spec: {clusterRef: {name: acme}, taints: [{key: a, value: '{{ x }}', effect: NoSchedule}]}",
        "spec.taints[0].value",
    ),
    "overlapping ranges": (
        HEAD + "spec: {networking: {podCIDR: 10.0.0.0/16, serviceCIDR: 10.0.1.0/24}}",
        "spec.networking",
    ),
    "a range of one": (
        HEAD + "spec: {networking: {podCIDR: 10.0.0.1/32}}",
        "spec.networking.podCIDR",
    ),
    "all there is": (HEAD + "spec: {networking: {podCIDR: 0.0.0.0/0}}", "spec.networking.podCIDR"),
    "ipv6": (HEAD + "spec: {networking: {podCIDR: 'fd00::/64'}}", "spec.networking.podCIDR"),
    "dual stack": (
        HEAD + "spec: {networking: {podCIDR: '10.0.0.0/16,fd00::/64'}}",
        "spec.networking.podCIDR",
    ),
    "a wildcard name": (
        HEAD + "spec: {exposure: {extraSANs: ['*.example']}}",
        "spec.exposure.extraSANs",
    ),
    "a file as a flag": (
        HEAD + "spec: {controlPlane: {apiServer: {extraArgs: {tls-cert-file: /etc/passwd}}}}",
        "spec.controlPlane.apiServer.extraArgs",
    ),
    "an issuer that is no URL": (
        HEAD + "spec: {controlPlane: {authentication: {issuers: "
        "[{name: a, url: 'file:///etc/passwd', audiences: [a]}]}}}",
        "spec.controlPlane.authentication.issuers[0].url",
    ),
    "an issuer of Kubernetes' own names": (
        HEAD + "spec: {controlPlane: {authentication: {issuers: "
        "[{name: system, url: 'https://a.example', audiences: [a]}]}}}",
        "spec.controlPlane.authentication.issuers[0].name",
    ),
    "a null": (HEAD + "spec: {version: null}", "spec.version"),
    "a list as spec": (HEAD + "spec: [1]", "spec"),
    "an anchors bomb": (BOMB, "spec.a"),
    "another kind": ("kind: Pod\nmetadata: {name: x}\n", "kind"),
    "a million workers": (
        HEAD + "---\nkind: NodePool\nmetadata: {name: p}\n"
        "spec: {clusterRef: {name: acme}, replicas: 1000000}",
        "spec.replicas",
    ),
    "a template as image": (
        HEAD + "---\nkind: NodePool\nmetadata: {name: p}\n"
        "spec: {clusterRef: {name: acme}, kubevirt: {image: '{{ x }}'}}",
        "spec.kubevirt.image",
    ),
    "a line break as label": (
        HEAD + "---\nkind: NodePool\nmetadata: {name: p}\n"
        'spec: {clusterRef: {name: acme}, labels: {a: "b\\n#include"}}',
        "spec.labels",
    ),
    "an unsupported version": (HEAD + "spec: {version: v1.2.3}", "spec.version"),
    "octets that are no text": ("\udcff", "can't be read"),
    "nul": ("\0", "can't be read"),
    "no yaml": ("a: [", "can't be read"),
    "nested without end": ("[" * 3000, "can't be read"),
    "no object": ("- a", "no Kubernetes object"),
    "nothing": ("", "has no TenantCluster"),
}


def diff(path: Path, *words: str) -> Result:
    """`apply` of a file, which reads and judges it all before it asks for a host."""
    return CliRunner().invoke(kubeception, ["apply", "-f", str(path), *words])


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_by_its_field(name: str, tmp_path: Path) -> None:
    text, told = BAD_FILES[name]
    path = tmp_path / "bad.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    result = diff(path)
    assert isinstance(result.exception, KubeceptionError), result.exception
    assert result.exception.exit_code == 2
    assert told in result.exception.message
    assert len(result.exception.message) < 20_000


def test_a_spec_of_3_mb_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(HEAD + f"spec: {{version: '{'v' * (3 << 20)}'}}")
    began = time.monotonic()
    result = diff(path)
    assert isinstance(result.exception, KubeceptionError)
    assert len(result.exception.message) < 20_000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "name",
    [
        *("..", "-", "A", "a_b", "a.b", "x" * 41, "x" * 63, "x" * 64, "x" * 253, "a ", " a", "ü"),
        *("\u202ea", "a\u200b", "🙂", "a\nb", "a/b", "-rf", "a--", "٣", "a\0b"),
    ],
)
def test_a_bad_name_is_refused_as_such(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_cluster({"metadata": {"name": name}})
    assert caught.value.problems[0].startswith("metadata.name: ")


@pytest.mark.parametrize("name", ["a", "0", "xn--nxasmq6b", "x" * 40, "no", "1e3", "null"])
def test_a_good_name_is_taken_however_yaml_reads_it(name: str) -> None:
    assert rendered(name, {}, {}) > 20


KUBECONFIGS: Final = {
    "no mapping": "- a",
    "no yaml": "a: [",
    "a list of nothing": "clusters: [null]\ncurrent-context: a\n",
    "contexts that are text": "contexts: text\ncurrent-context: a\n",
    "a context without its cluster": (
        "contexts: [{name: a, context: {cluster: b, user: c}}]\ncurrent-context: a\n"
    ),
    "octets": "\udcff",
    "nested without end": "[" * 3000,
    "10 MB": f"clusters: {'x' * (10 << 20)}\n",
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_bad_kubeconfig_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(KUBECONFIGS[name].encode(errors="surrogateescape"))
    began = time.monotonic()
    result = CliRunner().invoke(kubeception, ["list", "--kubeconfig", str(path)])
    assert isinstance(result.exception, KubeceptionError), result.exception
    assert str(path) in result.exception.message
    assert time.monotonic() - began < 5


@pytest.mark.attack("A21")
def test_no_process_is_started_by_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig may name programs; only a person's own is ever used."""
    started: list[object] = []
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *a, **_: started.append(a))
    path = tmp_path / "spec.yaml"
    path.write_text(HEAD + "spec: {kubeconfig: {exec: {command: /bin/false}}}")
    assert diff(path).exception is not None
    assert started == []
