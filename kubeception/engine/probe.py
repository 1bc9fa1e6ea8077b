"""Whether the host's network enforces NetworkPolicies: what none of them opens is dialled, from the operator's pod."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from kubeception import names
from kubeception.api.reasons import Reason
from kubeception.components.base import Readiness
from kubeception.kube.client import listens
from kubeception.kube.conditions import is_true
from kubeception.plan.context import PlanContext
from kubeception.plan.endpoint import API_PORT

CONDITION: Final = "NetworkPolicyEnforced"
"""Of a TenantCluster."""
OPEN: Final = "control-plane"
"""The component whose API server everybody may dial: where it doesn't answer, the silence of others tells nothing."""
SHUT: Final[Mapping[str, int]] = {OPEN: 8134, "etcd": 2381}
"""By component, the port at which the kubelet of its node asks for its health, and nobody else may."""
PERIOD_SECONDS: Final = 900.0
"""How long a word counts. No pass is run for another one: it is dialled by the next that comes."""
RETRY_SECONDS: Final = 60.0
"""The same where there was nothing to learn."""
ANSWER_SECONDS: Final = 2.0
"""The longest that a dial takes: what a policy stops is mostly dropped, not refused."""
SETTLE_SECONDS: Final = 10.0
"""After which what answers is dialled once more: a policy that was just written takes a moment to come to a node."""

ENFORCED: Final = Readiness.ready(
    "what only kubelets may dial, the health ports of etcd and of the tunnel, does not answer the operator"
)
UNTESTED: Final = Readiness.unknown("no control plane that could be dialled yet", Reason.NOT_TESTED)


class Probe:
    """One tenant's, in the process of an operator that is a pod of the host.

    It dials in a thread of its own, and `wake` is called when there is another word.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._word = UNTESTED
        self._due = 0.0

    def look(self, ctx: PlanContext) -> Readiness:
        """The word there is; where that is old, and all that is to be dialled is ready, another is on its way."""
        found, now = addresses(ctx), time.monotonic()
        if found.keys() == SHUT.keys() and now >= self._due:
            self._due = now + PERIOD_SECONDS
            threading.Thread(target=self._dial, args=(found,), name="probe", daemon=True).start()
        return self._word

    def _dial(self, found: Mapping[str, str]) -> None:
        word = dial(found)
        if word.reason is Reason.NOT_ENFORCED:
            time.sleep(SETTLE_SECONDS)
            word = dial(found)
        if word is UNTESTED:
            self._due = time.monotonic() + RETRY_SECONDS
        elif word != self._word:
            self._word = word
            self._wake()


def dial(found: Mapping[str, str]) -> Readiness:
    """What comes of dialling these addresses, by component, of pods that say they are ready.

    That a kubelet reaches the shut ports is what those pods are ready by, or alive. The open one is dialled
    last: a pod that ends in between answers nowhere.
    """
    for component, port in SHUT.items():
        if listens((found[component], port), ANSWER_SECONDS):
            said = f"{component} answers the operator at port {port}, which its policies open to nobody"
            return Readiness.waiting(said, Reason.NOT_ENFORCED)
    return ENFORCED if listens((found[OPEN], API_PORT), ANSWER_SECONDS) else UNTESTED


def addresses(ctx: PlanContext) -> dict[str, str]:
    """By component, the address of a pod of it that is ready."""
    found = {}
    for (kind, namespace, _), obj in ctx.facts.objects.items():
        component = obj["metadata"].get("labels", {}).get(names.COMPONENT_LABEL, "")
        ours = (kind, namespace) == ("Pod", ctx.namespace) and component in SHUT
        address = str(obj.get("status", {}).get("podIP") or "")
        if (
            ours
            and address
            and is_true(obj, "Ready")
            and "deletionTimestamp" not in obj["metadata"]
        ):
            found[component] = address
    return found
