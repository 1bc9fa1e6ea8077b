"""Worker nodes on machines that somebody owns, set up by SSH. A ConfigMap in the host is the record of each.

The work itself is done by the machine, in the background: what is seen here is how far it says it is.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from kubeception import names
from kubeception.api.v1alpha1 import NodePool, SshMachine
from kubeception.components.network_policy import is_the_hosts
from kubeception.errors import ApiError, KubeceptionError, SpecError, SshError
from kubeception.kube.client import Cluster
from kubeception.plan.bootstrap import Bootstrap
from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.render import text
from kubeception.plan.script import script
from kubeception.plan.way import forward
from kubeception.providers.base import Machine, NodeProvider, Phase, marks, require

if TYPE_CHECKING:
    from kubeception.ssh.client import Session

STATE: Final = "/var/lib/kubeception"
START: Final = (
    f"sh -c 'umask 077; mkdir -p {STATE} && cat >{STATE}/bootstrap.sh && "
    f"{{ setsid sh {STATE}/bootstrap.sh >>{STATE}/log 2>&1 </dev/null & }}'"
)
LOOK: Final = f"sh -c 'cat {STATE}/result 2>/dev/null || echo runs; tail -c 16000 {STATE}/log'"
RESET: Final = "sh -s"
PAUSE: Final = timedelta(seconds=2)
"""Between two looks at a machine that is being set up."""
RESET_LIMIT: Final = timedelta(minutes=2)
"""After which a machine that can't be reset is let go as it is."""
KEY_TYPE: Final = "kubernetes.io/ssh-auth"
KEY: Final = "ssh-privatekey"


class Ssh(NodeProvider):
    """Machines of a pool's inventory."""

    name: ClassVar[str] = "ssh"
    kinds: ClassVar[tuple[str, ...]] = ("ConfigMap",)
    selector: ClassVar[str] = f"{names.PROVIDER_LABEL}=ssh"

    def preflight(self, host: Cluster) -> None:
        """Nothing of the host is needed; each machine is looked at when its turn comes."""

    def check(self, ctx: PlanContext, pool: NodePool) -> None:
        require(ctx, pool, names.ALLOW_SSH_NODES)
        problems = [
            f"spec.ssh.machines[{n}].address: {found.address} is one of the host cluster's own"
            for n, found in enumerate(inventory(pool))
            if is_the_hosts(ctx.facts.host, found.address)
        ]
        if problems:
            raise SpecError(problems, what=f"NodePool {pool.name}")

    def room(self, pool: NodePool) -> int | None:
        return len(inventory(pool))

    def render(
        self, ctx: PlanContext, pool: NodePool, machine: str, boot: Bootstrap
    ) -> list[Object]:
        place = _free(ctx, pool)
        if place is None or pool.spec.ssh is None or ctx.endpoint is None:
            return []
        labels = {
            names.MACHINE_LABEL: machine,
            names.POOL_LABEL: pool.name,
            names.PROVIDER_LABEL: self.name,
        }
        meta = {"name": machine, "namespace": ctx.nodes_namespace, "labels": labels}
        seed = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "stringData": {"script": script(boot, forward(ctx.endpoint, ctx.network.api_ip))},
        }
        data = {"address": place.address, "port": str(place.port), "user": pool.spec.ssh.user}
        record: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        key = pool.spec.ssh.key_secret_ref
        if key is None:
            return [record]
        record["metadata"] = {**meta, "finalizers": [names.FINALIZER]}
        data["keySecret"] = f"{pool.namespace}/{key.name}"
        if place.host_key:
            data["hostKey"] = place.host_key
        return [seed, record]

    def machines(self, objects: Iterable[Object]) -> list[Machine]:
        return [_machine(obj) for obj in objects if _is_record(obj)]

    def provider_id(self, ctx: PlanContext, machine: str) -> str:
        return f"ssh://{ctx.nodes_namespace}/{machine}"

    def tend(self, host: Cluster, ctx: PlanContext) -> list[Callable[[], None]]:
        records = [obj for obj in ctx.facts.objects.values() if _is_record(obj)]
        now = ctx.facts.now
        due = self.release(host, records, now)
        for record in records:
            pool = next((p for p in ctx.pools if p.name == _label(record, names.POOL_LABEL)), None)
            if "deletionTimestamp" in record["metadata"]:
                continue
            if pool is not None and _is_struck(record, pool):
                due.append(partial(_leave, host, record, now))
            elif pool is None or "keySecret" not in record["data"]:
                continue
            elif not _annotation(record, names.INSTANCE_ANNOTATION):
                with suppress(KubeceptionError):  # told where the pool is scaled
                    self.check(ctx, pool)
                    due.append(partial(_set_up, host, record, now))
        return due

    def release(
        self, host: Cluster, objects: Iterable[Object], now: datetime
    ) -> list[Callable[[], None]]:
        going = (o for o in objects if _is_record(o) and "deletionTimestamp" in o["metadata"])
        return [partial(_reset, host, record, now) for record in going]


def inventory(pool: NodePool) -> tuple[SshMachine, ...]:
    """The machines a pool may use."""
    return pool.spec.ssh.machines if pool.spec.ssh else ()


def _is_record(obj: Object) -> bool:
    return obj["kind"] == "ConfigMap" and _label(obj, names.PROVIDER_LABEL) == Ssh.name


def _label(obj: Object, key: str) -> str:
    return str(obj["metadata"].get("labels", {}).get(key, ""))


def _annotation(obj: Object, key: str) -> str:
    return str(obj["metadata"].get("annotations", {}).get(key, ""))


def _free(ctx: PlanContext, pool: NodePool) -> SshMachine | None:
    """A machine of the inventory that is no node yet."""
    records = (obj for obj in ctx.facts.objects.values() if _is_record(obj))
    used = {(record["data"]["address"], record["data"]["port"]) for record in records}
    left = (m for m in inventory(pool) if (m.address, str(m.port)) not in used)
    return next(left, None)


def _is_struck(record: Object, pool: NodePool) -> bool:
    """Whether it is out of the inventory, and hasn't been told to go yet."""
    data = record["data"]
    listed = {(m.address, str(m.port)) for m in inventory(pool)}
    leaving = _annotation(record, names.DRAINING_ANNOTATION)
    return (data["address"], data["port"]) not in listed and not leaving


def _leave(host: Cluster, record: Object, now: datetime) -> None:
    mark = {names.DRAINING_ANNOTATION: now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    _patch(host, record, {"metadata": {"annotations": mark}})


def _set_up(host: Cluster, record: Object, now: datetime) -> None:
    """Begin the work on the machine, or see how far it is; at most once in PAUSE."""
    data: Mapping[str, str] = record["data"]
    if now - datetime.fromisoformat(data.get("looked", "2000-01-01T00:00:00Z")) < PAUSE:
        return
    news = {"looked": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    try:
        with _session(host, data) as session:
            news["hostKey"] = session.host_key
            if data.get("state") == "started":
                news |= _told(session.run(LOOK).output)
            else:
                begun = session.run(START, _script(host, record))
                news |= {"state": "started", "message": ""}
                if begun.code:
                    news |= {"state": "", "message": last_line(begun.output)}
    except SshError as error:
        news["message"] = error.message
    _patch(host, record, {"data": news})


def _told(output: str) -> dict[str, str]:
    """What a machine says of its own set-up; one that failed is begun again at the next look."""
    result, _, log = output.partition("\n")
    if result in ("runs", "done"):
        return {"message": "", "log": log}
    return {"state": "", "message": result, "log": log}


def _reset(host: Cluster, record: Object, now: datetime) -> None:
    """Undo what was done to the machine, and let its record go; one that can't be reached is let go after a while."""
    meta, data = record["metadata"], record["data"]
    try:
        if data.get("hostKey") and data.get("looked"):
            with _session(host, data) as session:
                session.run(
                    RESET, f"{text('machine-reset.sh', {})}\nreset {meta['name']} </dev/null\n"
                )
    except KubeceptionError as error:
        if now - datetime.fromisoformat(meta["deletionTimestamp"]) < RESET_LIMIT:
            _patch(host, record, {"data": {"message": f"can't be reset: {error.message}"}})
            return
    kept = [each for each in meta.get("finalizers", ()) if each != names.FINALIZER]
    _patch(host, record, {"metadata": {"finalizers": kept}})


def _patch(host: Cluster, record: Object, body: Object) -> None:
    meta = record["metadata"]
    host.patch("ConfigMap", meta["name"], body, meta["namespace"])


def _script(host: Cluster, record: Object) -> str:
    meta = record["metadata"]
    seed = host.get("Secret", meta["name"], meta["namespace"])
    return base64.b64decode((seed or {}).get("data", {}).get("script", "")).decode()


def _session(host: Cluster, data: Mapping[str, str]) -> AbstractContextManager["Session"]:
    """A session with the machine of a record, by the key its owner gave. Raises SshError where that isn't there."""
    from kubeception.ssh.client import Target, connect  # paramiko takes a tenth of a second

    namespace, _, name = data["keySecret"].partition("/")
    what = f"Secret {namespace}/{name}"
    try:
        secret = host.get("Secret", name, namespace)
    except ApiError as error:
        raise SshError(f"{what}, the key of machines, can't be read: {error.message}") from error
    if secret is None:
        raise SshError(f"{what}, the key of machines, does not exist")
    if secret.get("type") != KEY_TYPE or KEY not in secret.get("data", {}):
        raise SshError(f"{what} is not of type {KEY_TYPE} with a key {KEY}")
    key = base64.b64decode(secret["data"][KEY]).decode(errors="replace")
    host_key = data.get("hostKey", "")
    return connect(Target(data["address"], int(data["port"]), data["user"], key, host_key))


def last_line(output: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it said nothing"


def _machine(record: Object) -> Machine:
    meta, data = record["metadata"], record.get("data", {})
    going = "deletionTimestamp" in meta
    joined = _annotation(record, names.INSTANCE_ANNOTATION)
    by_hand = "keySecret" not in data
    started = by_hand or data.get("state") == "started"
    message = data.get("message", "")
    if by_hand and not joined:
        message = f"waits for `kubeception join-command {_label(record, names.POOL_LABEL)}`"
    return Machine(
        name=meta["name"],
        pool=_label(record, names.POOL_LABEL),
        phase=Phase.REMOVING if going else Phase.RUNNING if started else Phase.PENDING,
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        uid=meta["uid"],
        instance=meta["uid"],
        address=data.get("address", ""),
        provider=Ssh.name,
        message=message,
        **marks(record),
    )


def log_of(host: Cluster, node: str) -> str | None:
    """What a machine last said of its set-up; None where no such machine is."""
    labels = f"{Ssh.selector},{names.MACHINE_LABEL}={node}"
    for record in host.list("ConfigMap", labels=labels):
        return str(record.get("data", {}).get("log", ""))
    return None
