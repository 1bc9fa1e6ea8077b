"""How kube-apiserver stores Secrets."""

import base64

from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object
from kubeception.plan.render import document


def encryption_configuration(ctx: PlanContext) -> str:
    """The EncryptionConfiguration: new ones as the first provider says, old ones are read by any of the two."""
    key = {"name": "key1", "secret": base64.b64encode(ctx.pki.encryption_key).decode("ascii")}
    providers: list[Object] = [{"secretbox": {"keys": [key]}}, {"identity": {}}]
    if ctx.spec.encryption.provider == "none":
        providers.reverse()
    return document(ctx.manifest("control-plane/encryption.yaml.j2", providers=providers))
