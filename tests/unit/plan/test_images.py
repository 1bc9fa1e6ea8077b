import pytest

from kubeception.components.install import Options, operator
from kubeception.errors import SpecError
from kubeception.plan import images
from kubeception.plan.facts import Facts, HostFacts
from kubeception.plan.images import DIGESTS, OURS, OWN, Images, covers
from kubeception.plan.versions import IMAGES, image
from kubeception.providers import provider
from tests.plans import NOW, plan, pool

SHA = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("prefix", "reference", "covered"),
    [
        ("a.example", "a.example/b/c:1", True),
        ("a.example", "a.example.evil/b:1", False),
        ("a.example", "a.example:5000/b:1", False),
        ("a.example:5000", "a.example:5000/b", True),
        ("a.example/b", "a.example/b:1", True),
        ("a.example/b", f"a.example/b@{SHA}", True),
        ("a.example/b", "a.example/b/c:1", True),
        ("a.example/b", "a.example/bc:1", False),
        ("a.example/b:1", "a.example/b:1", True),
        ("a.example/b:1", f"a.example/b:1@{SHA}", True),
        ("a.example/b:1", "a.example/b:10", False),
        ("docker.io/library", "busybox", False),
    ],
)
def test_an_entry_covers_what_is_below_it(prefix: str, reference: str, covered: bool) -> None:
    assert covers(prefix, reference) is covered


def test_all_that_runs_for_a_tenant_is_covered_by_the_releases_own() -> None:
    found = images.images({OWN: "\n".join(OURS)})
    assert [name for name in IMAGES if found.refusal(image(name))] == []
    assert found.refusal("registry.k8s.io/kube-apiserver-evil:v1")


def test_where_no_operator_is_nobody_minds() -> None:
    assert images.images(None).refusal("evil.example/a:1") == ""
    assert images.images(None).pinned("a:1") == "a:1"


@pytest.mark.attack("A21")
@pytest.mark.parametrize("kind", ["kubevirt", "pod"])
def test_a_pool_names_no_image_that_is_not_allowed(kind: str) -> None:
    asked = pool(1, provider=kind, **{kind: {"image": "evil.example/node:1"}})
    ctx = plan(pools=(asked,))
    provider(kind).check(ctx, asked)  # nobody minds
    for allowed, refused in (((), True), (("evil.example/nod",), True), (("evil.example",), False)):
        host = HostFacts(data_volumes=True, images=Images((*OURS, *allowed)))
        ctx = plan(pools=(asked,), facts=Facts(NOW, host, ctx.facts.objects))
        if not refused:
            provider(kind).check(ctx, asked)
            continue
        with pytest.raises(
            SpecError, match=rf"spec\.{kind}\.image: evil\.example/node:1 is none"
        ) as said:
            provider(kind).check(ctx, asked)
        assert "--allow-image" in said.value.hint


def test_where_there_are_digests_no_image_goes_without() -> None:
    lines = images.digests(
        "".join(f"{r}@{SHA}\n" for r in images.of_release()), images.of_release()
    )
    host = HostFacts(images=images.images({OWN: "\n".join(OURS), DIGESTS: "\n".join(lines)}))
    ctx = plan(facts=Facts(NOW, host))
    assert ctx.image("etcd") == f"{image('etcd')}@{SHA}"
    with pytest.raises(SpecError, match=r"kube-apiserver:v1\.35\.1 has no digest"):
        ctx.image("kube-apiserver", "v1.35.1")
    own = f"{image('node')}@{SHA}"
    assert host.images.refusal(own) == ""
    assert "by digest only" in host.images.refusal(image("node"))


def test_a_list_of_digests_lacks_none_and_has_nothing_else() -> None:
    with pytest.raises(SpecError) as raised:
        images.digests(f"# ours\n\na:1@{SHA}\nb:1\n", ["a:1", "c:1"])
    assert raised.value.problems == ("'b:1' is not IMAGE:TAG@sha256:…", "c:1 has no digest")


@pytest.mark.parametrize("entry", ["*", "https://a.example", "a b", "-a"])
def test_what_is_no_prefix_is_refused(entry: str) -> None:
    with pytest.raises(SpecError, match="is no image"):
        images.prefixes([entry])
    assert images.prefixes(["a.example/", "", "a.example"]) == ("a.example",)


def test_the_operators_own_image_has_its_digest_too() -> None:
    own = image("kubeception")
    (deployment,) = (
        o for o in operator(Options(digests=(f"{own}@{SHA}",))) if o["kind"] == "Deployment"
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{own}@{SHA}"
    with pytest.raises(SpecError, match="kubeception-images"):
        list(operator(Options(digests=(f"a:1@{SHA}",))))
