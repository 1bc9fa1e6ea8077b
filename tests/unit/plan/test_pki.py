import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from kubeception.errors import KubeceptionError
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Facts, Object
from kubeception.plan.keys import RandomKeys
from kubeception.plan.pki import CAS, LEAVES, PERSON_LIFE, TRUST
from kubeception.plan.x509 import ca_problem
from tests.plans import NOW, find, plan


def stored(ctx: PlanContext, objects: list[Object], **later: Any) -> PlanContext:
    """The context after the host has stored `objects`; what is new in it gets random keys."""
    facts = replace(ctx.facts.with_objects(objects), **later)
    return replace(ctx, facts=facts, keys=RandomKeys())


@pytest.fixture
def fresh() -> PlanContext:
    return plan()


@pytest.fixture
def standing(fresh: PlanContext) -> PlanContext:
    return stored(fresh, [*fresh.pki.roots(), *fresh.pki.leaves(*TRUST)])


def test_a_second_look_changes_nothing(fresh: PlanContext, standing: PlanContext) -> None:
    assert list(standing.pki.roots()) == list(fresh.pki.roots())
    assert list(standing.pki.leaves(*TRUST)) == list(fresh.pki.leaves(*TRUST))


def test_without_what_is_stored_everything_is_new(fresh: PlanContext) -> None:
    other = replace(fresh, keys=RandomKeys())
    assert {name: fresh.pki.ca(name) == other.pki.ca(name) for name in CAS} == dict.fromkeys(
        CAS, False
    )


def test_roots_are_there_when_the_host_holds_all_of_them(
    fresh: PlanContext, standing: PlanContext
) -> None:
    assert standing.pki.rooted
    for missing in fresh.pki.roots():
        others = [root for root in fresh.pki.roots() if root != missing]
        assert not stored(fresh, others).pki.rooted


def test_roots_are_immutable_and_leaves_are_not(fresh: PlanContext) -> None:
    assert all(secret["immutable"] for secret in fresh.pki.roots())
    assert not any("immutable" in secret for secret in fresh.pki.leaves(*TRUST))


def test_each_ca_is_its_own(fresh: PlanContext) -> None:
    keys = {fresh.pki.ca(name).key for name in CAS}
    assert len(keys) == len(CAS)
    assert not any(ca_problem(fresh.pki.ca(name), NOW) for name in CAS)


def test_a_reader_gets_its_own_certificates_and_the_cas_it_checks(fresh: PlanContext) -> None:
    for secret in fresh.pki.leaves(*TRUST):
        name = secret["metadata"]["name"]
        own = {
            f"{row.name}.{end}" for row in LEAVES if row.secret == name for end in ("crt", "key")
        }
        assert set(secret["data"]) == own | {f"{ca}-ca.crt" for ca in TRUST[name]}


def test_no_reader_gets_the_key_of_a_ca(fresh: PlanContext) -> None:
    keys = {base64.b64encode(fresh.pki.ca(name).key).decode() for name in CAS}
    for secret in fresh.pki.leaves(*TRUST):
        assert not keys & set(secret["data"].values())


def test_leaves_are_renewed_and_roots_are_not(standing: PlanContext) -> None:
    later = stored(standing, [], now=NOW + timedelta(days=250))
    assert list(later.pki.roots()) == list(standing.pki.roots())
    before, after = list(standing.pki.leaves(*TRUST)), list(later.pki.leaves(*TRUST))
    assert all(a["data"] != b["data"] for a, b in zip(before, after, strict=True))


def test_a_new_name_renews_only_the_certificate_that_must_cover_it(standing: PlanContext) -> None:
    spec = {"exposure": {"extraSANs": ["api.example"]}}
    wider = replace(plan(spec), facts=standing.facts, keys=RandomKeys())
    before, after = list(standing.pki.leaves(*TRUST)), list(wider.pki.leaves(*TRUST))
    changed = {
        a["metadata"]["name"] for a, b in zip(before, after, strict=True) if a["data"] != b["data"]
    }
    assert changed == {"kube-apiserver"}
    assert wider.pki.leaf("kube-apiserver", "etcd-client") == standing.pki.leaf(
        "kube-apiserver", "etcd-client"
    )


@pytest.mark.parametrize(
    ("secret", "key"),
    [("ca-client", "tls.key"), ("ca-etcd", "tls.crt"), ("service-account", "sa.key")],
)
@pytest.mark.parametrize("value", ["", "bm90IGEga2V5", "%%%"], ids=["empty", "garbage", "base64"])
def test_a_broken_root_is_an_error_and_is_not_replaced(
    standing: PlanContext, secret: str, key: str, value: str
) -> None:
    broken = find(list(standing.pki.roots()), "Secret", secret)
    broken["data"][key] = value
    ctx = stored(standing, [broken])
    with pytest.raises(KubeceptionError, match=f"{secret}.* can't be used"):
        list(ctx.pki.roots())


@pytest.mark.parametrize("secret", ["ca-serving", "service-account", "encryption-key"])
def test_a_root_without_data_is_an_error(standing: PlanContext, secret: str) -> None:
    emptied = {**find(list(standing.pki.roots()), "Secret", secret), "data": None}
    with pytest.raises(KubeceptionError, match="can't be used") as caught:
        list(stored(standing, [emptied]).pki.roots())
    assert "never replaced" in caught.value.hint


def test_a_ca_that_has_expired_is_an_error(standing: PlanContext) -> None:
    ctx = stored(standing, [], now=NOW + timedelta(days=4000))
    with pytest.raises(KubeceptionError, match="is valid from"):
        list(ctx.pki.roots())


def test_people_and_engine_have_kubeconfigs_of_their_own(fresh: PlanContext) -> None:
    admin, engine = fresh.pki.admin_kubeconfig(), fresh.pki.engine_kubeconfig()
    assert admin["current-context"] == "demo"
    assert admin["clusters"] == engine["clusters"]
    assert admin["clusters"][0]["cluster"]["server"] == "https://203.0.113.10:30443"
    assert admin["users"] != engine["users"]


def test_a_machine_gets_no_more_than_its_token(fresh: PlanContext) -> None:
    config = fresh.pki.bootstrap_kubeconfig("abcdef.0123456789abcdef")
    assert config["clusters"][0]["cluster"]["server"] == "https://192.0.2.10:6443"
    assert config["users"][0]["user"] == {"token": "abcdef.0123456789abcdef"}


def test_without_an_address_there_is_no_kubeconfig() -> None:
    with pytest.raises(KubeceptionError, match="has no address yet"):
        plan(facts=Facts(NOW)).pki.admin_kubeconfig()


def test_no_key_is_shown_where_a_pair_or_the_facts_are_printed(standing: PlanContext) -> None:
    assert "PRIVATE KEY" not in repr(standing.pki.ca("client"))
    assert base64.b64encode(standing.pki.ca("client").key).decode() not in repr(standing)


@pytest.mark.parametrize(("life", "hours"), [(PERSON_LIFE, 12), (timedelta(minutes=30), 0.5)])
def test_a_persons_certificate_ends_within_hours(
    fresh: PlanContext, life: timedelta, hours: float
) -> None:
    user = fresh.pki.admin_kubeconfig(life=life)["users"][0]["user"]
    found = load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    assert found.not_valid_after_utc == NOW + timedelta(hours=hours)
    assert found.subject.rfc4514_string() == "CN=kubernetes-admin,O=kubeadm:cluster-admins"


def test_no_secret_holds_a_certificate_of_a_person(fresh: PlanContext) -> None:
    for secret in fresh.pki.leaves(*TRUST):
        for name, data in secret["data"].items():
            if name == "client.crt":
                subject = load_pem_x509_certificate(base64.b64decode(data)).subject
                assert "kubernetes-admin" not in subject.rfc4514_string()
