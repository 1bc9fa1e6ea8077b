"""Encryption of Secrets at rest, and how one key takes the place of another, without a Secret that can't be read.

    add      every kube-apiserver can read with the new key, and still writes with the old one
    promote  every kube-apiserver writes with the new key
    rewrite  every Secret is stored anew (engine/rewrite.py)
    drop     no kube-apiserver knows the old key, whose Secret goes last

Where it stands is read from what is there: the Secrets of keys, the keys by which the control plane and each of
its pods were started, and beside the configuration for which state of the Deployment all was rewritten. A pass takes
one step at most, and none before the one before it is true of every pod.
"""

import base64
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components.base import Component, Readiness, deployment_ready
from kubeception.plan.context import PlanContext
from kubeception.plan.encryption import known, known_by
from kubeception.plan.facts import Key, Object
from kubeception.plan.render import document
from kubeception.plan.secret import opaque

ENCRYPTED: Final[Mapping[str, str]] = {"Secret": "secrets"}
"""What is encrypted: kinds, and what they are called in the configuration."""
SECRET: Final = "encryption"
"""The Secret with the configuration."""
ENDED: Final = frozenset({"Failed", "Succeeded"})
"""Phases of pods that run nothing any more."""


class Step(Enum):
    """How far a new key is."""

    ADD = "the API server learns the new key"
    PROMOTE = "the API server comes to write with it"
    REWRITE = "Secrets are stored anew"
    DROP = "the old key is dropped"

    @property
    def words(self) -> str:
        """What is said while it is being done."""
        return f"step {[*Step].index(self) + 1} of {len(Step)}: {self.value}"


class Encryption(Component):
    """What there is to say of it; its configuration is the control plane's, written before that is restarted."""

    name = "encryption"
    needs = ("roots",)

    def objects(self, ctx: PlanContext) -> Iterable[Object]:
        return ()

    def ready(self, ctx: PlanContext, seen: Mapping[Key, Object]) -> Readiness:
        if under_way := step(ctx):
            return Readiness.waiting(under_way.words, Reason.IN_PROGRESS)
        if ctx.spec.encryption.provider == "none":
            return Readiness.ready("not encrypted")
        return Readiness.ready(f"encrypted with {order(ctx)[0]}")


def configuration(ctx: PlanContext) -> str:
    """kube-apiserver's EncryptionConfiguration.

    New objects are stored as its first provider says, old ones are read by any of the two.
    """
    keys = {key.name: key.value for key in ctx.pki.encryption_keys}
    listed = [
        {"name": name, "secret": base64.b64encode(keys[name]).decode("ascii")}
        for name in order(ctx)
    ]
    providers: list[Object] = [{"secretbox": {"keys": listed}}, {"identity": {}}]
    if ctx.spec.encryption.provider == "none":
        providers.reverse()
    kinds = [*ENCRYPTED.values()]
    config = ctx.manifest("control-plane/encryption.yaml.j2", resources=kinds, providers=providers)
    return document(config)


def secret(ctx: PlanContext) -> Object:
    """The Secret with that, for a control plane in pods."""
    return opaque(ctx.namespace, SECRET, {"encryption.yaml": configuration(ctx).encode()})


def order(ctx: PlanContext) -> tuple[str, ...]:
    """The keys that kube-apiserver is to know, the one it writes with first."""
    held = [key.name for key in ctx.pki.encryption_keys]
    newest, now = held[-1], known(ctx)
    if now is None:  # nobody runs who couldn't read what is written with the newest
        return tuple(reversed(held))
    if not settled(ctx):
        return now
    if newest not in now:
        return (*now, newest)
    others = () if rewritten(ctx) else (key for key in now if key != newest)
    return (newest, *others)


def step(ctx: PlanContext) -> Step | None:
    """The step that is being taken; None where there is one key and everybody has it."""
    newest, now = ctx.pki.encryption_keys[-1].name, known(ctx)
    if now is None or (len(ctx.pki.encryption_keys) == 1 and now == (newest,)):
        return None
    if now[0] != newest:
        added = newest in now and settled(ctx)
        return Step.PROMOTE if added else Step.ADD
    if len(now) == 1 or rewritten(ctx):
        return Step.DROP
    return Step.REWRITE if settled(ctx) else Step.PROMOTE


def settled(ctx: PlanContext) -> bool:
    """Whether every kube-apiserver there is was started with the keys that the Deployment names."""
    deployment = ctx.seen("Deployment", "control-plane")
    if deployment is None or not deployment_ready(deployment).ok:
        return False
    return all(known_by(pod) == known(ctx) for pod in _pods(ctx))


def state(ctx: PlanContext) -> str:
    """The control plane as it is: another text after each change of its Deployment, whoever makes it."""
    meta = (ctx.seen("Deployment", "control-plane") or {"metadata": {}})["metadata"]
    return f"{meta.get('uid')}/{meta.get('generation')}"


def rewritten(ctx: PlanContext) -> bool:
    """Whether all was stored anew since the control plane came to be as it is."""
    secret = ctx.seen("Secret", SECRET) or {"metadata": {}}
    said = (secret["metadata"].get("annotations") or {}).get(names.REWRITTEN_ANNOTATION)
    return bool(said == state(ctx))


def dropped(ctx: PlanContext) -> list[str]:
    """The Secrets of keys that nobody knows any more."""
    if not settled(ctx):
        return []
    newest = ctx.pki.encryption_keys[-1]
    others = [key.secret for key in ctx.pki.encryption_keys[:-1]]
    return others if known(ctx) == (newest.name,) else []


def _pods(ctx: PlanContext) -> Iterable[Object]:
    """Those of the control plane that run, or may."""
    for (kind, namespace, _), obj in ctx.facts.objects.items():
        own = obj["metadata"].get("labels", {}).get(names.COMPONENT_LABEL) == "control-plane"
        ended = obj.get("status", {}).get("phase") in ENDED
        if (kind, namespace) == ("Pod", ctx.namespace) and own and not ended:
            yield obj
