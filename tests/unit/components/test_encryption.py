"""A new encryption key, step by step, over a host that exists only here."""

import base64
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kubeception import names
from kubeception.components.control_plane import ControlPlane
from kubeception.components.encryption import Encryption, Step, dropped, order, state, step
from kubeception.components.pki import Roots
from kubeception.errors import KubeceptionError
from kubeception.plan.context import PlanContext
from kubeception.plan.encryption import known, known_by
from kubeception.plan.facts import Object, key_of
from kubeception.plan.keys import RandomKeys
from tests.plans import find, plan, tenant

ADDED, PROMOTED, DONE = ("key1", "key2"), ("key2", "key1"), ("key2",)


class World:
    """A control plane, its pods, and what passes make of them."""

    def __init__(self, rotation: str = "") -> None:
        self.ctx = replace(plan({"encryption": {"rotation": rotation}}), keys=RandomKeys())
        self.step()
        self.roll_out()

    def ask(self, rotation: str) -> None:
        spec = {"encryption": {"rotation": rotation}}
        self.ctx = replace(self.ctx, cluster=tenant(spec))

    def put(self, *objects: Object) -> None:
        """As the host stores them: what others wrote beside it stays."""
        for obj in objects:
            there = self.ctx.facts.objects.get(key_of(obj), {"metadata": {}})["metadata"]
            obj["metadata"] = {**there, **obj["metadata"]}
        self.ctx = replace(self.ctx, facts=self.ctx.facts.with_objects(objects))

    def remove(self, kind: str, name: str) -> None:
        left = {k: o for k, o in self.ctx.facts.objects.items() if (k[0], k[2]) != (kind, name)}
        self.ctx = replace(self.ctx, facts=replace(self.ctx.facts, objects=left))

    def step(self) -> None:
        """One pass; whatever changes a Deployment gives it another generation."""
        self.put(*Roots().objects(self.ctx))
        objects = list(ControlPlane().objects(self.ctx))
        wanted = find(objects, "Deployment", "control-plane")
        live = self.ctx.seen("Deployment", "control-plane")
        if live is None or live["spec"] != wanted["spec"]:
            meta = live["metadata"] if live else wanted["metadata"]
            generation = meta.get("generation", 0) + 1
            status = live["status"] if live else {"observedGeneration": 0}
            meta = {**meta, "generation": generation}
            live = {**wanted, "metadata": meta, "status": status}
        self.put(*(o for o in objects if o["kind"] != "Deployment"), live)

    def deployment(self) -> Object:
        found = self.ctx.seen("Deployment", "control-plane")
        assert found
        return found

    def pod(self, name: str, template: Object, **status: str) -> None:
        meta = {**template["metadata"], "name": name, "namespace": self.ctx.namespace}
        self.put({"kind": "Pod", "metadata": meta, "spec": {}, "status": status})

    def roll_out(self) -> None:
        found = self.deployment()
        counts = {"readyReplicas": 1, "updatedReplicas": 1}
        status = {**counts, "observedGeneration": found["metadata"]["generation"]}
        self.put({**found, "status": status})
        self.pod("control-plane-a", found["spec"]["template"])

    def rewrite(self) -> None:
        secret = self.ctx.seen("Secret", "encryption")
        assert secret
        said = {names.REWRITTEN_ANNOTATION: state(self.ctx)}
        self.put({**secret, "metadata": {**secret["metadata"], "annotations": said}})

    def configured(self) -> tuple[str, ...]:
        """The keys of kube-apiserver's configuration."""
        secret = self.ctx.seen("Secret", "encryption")
        assert secret
        document = yaml.safe_load(base64.b64decode(secret["data"]["encryption.yaml"]))
        providers = document["resources"][0]["providers"]
        (keys,) = (p["secretbox"]["keys"] for p in providers if "secretbox" in p)
        return tuple(key["name"] for key in keys)

    def message(self) -> str:
        readiness = Encryption().ready(self.ctx, {})
        assert readiness.ok is (step(self.ctx) is None)
        return readiness.message


def keys(world: World) -> dict[str, Any]:
    return {key.name: key.value for key in world.ctx.pki.encryption_keys}


def test_a_new_cluster_has_one_key_and_nothing_to_do() -> None:
    for rotation in ("", "at-birth"):
        world = World(rotation)
        assert (known(world.ctx), world.configured()) == (("key1",), ("key1",))
        assert world.message() == "encrypted with key1"


def test_every_step_waits_for_all_pods_and_the_one_before() -> None:
    world = World()
    old = keys(world)
    world.ask("2026")
    for wanted, said in ((ADDED, Step.ADD), (PROMOTED, Step.PROMOTE)):
        world.step()
        assert known(world.ctx) == world.configured() == wanted
        assert world.message() == said.words
        before = world.ctx
        world.step()
        assert order(world.ctx) == wanted, "not all pods have it"
        world.roll_out()
        world.pod(
            "control-plane-old", {"metadata": before.facts.objects[key_of(pod(before))]["metadata"]}
        )
        world.step()
        assert known(world.ctx) == wanted, "a pod of before is still there"
        world.remove("Pod", "control-plane-old")
    assert world.message() == Step.REWRITE.words
    world.step()
    assert known(world.ctx) == PROMOTED, "not rewritten yet"
    world.rewrite()
    world.step()
    assert known(world.ctx) == world.configured() == DONE
    assert world.message() == Step.DROP.words
    assert dropped(world.ctx) == [], "a pod may know it yet"
    world.roll_out()
    assert dropped(world.ctx) == ["encryption-key"]
    world.remove("Secret", "encryption-key")
    world.step()
    assert world.message() == "encrypted with key2"
    assert list(keys(world)) == ["key2"]
    assert keys(world)["key2"] != old["key1"]


def pod(ctx: PlanContext) -> Object:
    (found,) = (o for o in ctx.facts.objects.values() if o["kind"] == "Pod")
    return found


def at(*steps: str) -> World:
    """A rotation that has come so far."""
    world = World()
    world.ask("2026")
    for each in steps:
        getattr(world, each)()
    return world


REWRITTEN = ("step", "roll_out", "step", "roll_out", "rewrite")


def test_a_rewrite_counts_for_the_control_plane_it_was_made_with_only() -> None:
    """Between the two, a kube-apiserver may have written with the old key."""
    world = at(*REWRITTEN)
    found = world.deployment()
    world.put({**found, "metadata": {**found["metadata"], "generation": 99}})
    world.roll_out()
    assert order(world.ctx) == PROMOTED
    assert step(world.ctx) is Step.REWRITE


def test_a_control_plane_that_was_deleted_starts_with_the_newest_and_is_rewritten_again() -> None:
    world = at(*REWRITTEN)
    world.remove("Deployment", "control-plane")
    world.remove("Pod", "control-plane-a")
    assert order(world.ctx) == PROMOTED
    world.step()
    world.roll_out()
    assert step(world.ctx) is Step.REWRITE


def test_another_word_in_the_middle_is_another_key() -> None:
    world = at("step", "roll_out", "step", "roll_out")
    world.ask("2027")
    world.step()
    assert known(world.ctx) == ("key2", "key1", "key3")
    world.roll_out()
    world.step()
    assert known(world.ctx) == ("key3", "key2", "key1")
    world.roll_out()
    world.rewrite()
    world.step()
    world.roll_out()
    assert known(world.ctx) == ("key3",)
    assert dropped(world.ctx) == ["encryption-key", "encryption-key-2"]


def test_keys_made_stay_what_they_are() -> None:
    world = at("step")
    before = keys(world)
    secrets = list(world.ctx.pki.roots())
    world.step()
    assert keys(world) == before
    assert list(world.ctx.pki.roots()) == secrets
    made = find(secrets, "Secret", "encryption-key-2")
    assert made["immutable"]
    assert made["metadata"]["annotations"] == {names.ROTATION_ANNOTATION: "2026"}


@pytest.mark.parametrize("secret", ["encryption-key", "encryption-key-2"])
def test_a_key_in_use_that_is_gone_is_an_error_and_no_reason_to_make_another(secret: str) -> None:
    world = at("step")
    world.remove("Secret", secret)
    with pytest.raises(KubeceptionError, match=f"{secret} of demo can't be used: it is in use"):
        list(Roots().objects(world.ctx))


def test_pods_that_ended_hold_nothing_up() -> None:
    world = at("step", "roll_out")
    old = {"metadata": {"labels": world.deployment()["spec"]["template"]["metadata"]["labels"]}}
    assert known_by(old) == ("key1",)
    world.pod("control-plane-evicted", old, phase="Failed")
    assert order(world.ctx) == PROMOTED
    world.pod("control-plane-evicted", old, phase="Running")
    assert order(world.ctx) == ADDED


def test_without_encryption_it_is_said_so() -> None:
    ctx = plan({"encryption": {"provider": "none"}})
    assert Encryption().ready(ctx, {}).message == "not encrypted"
