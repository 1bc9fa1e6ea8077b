"""Who is somebody at the API server, besides its certificates and ServiceAccounts: a file that kube-apiserver reads."""

from typing import Final

from kubeception.plan.context import PlanContext
from kubeception.plan.facts import Object

FILE: Final = "authentication.yaml"


def configuration(ctx: PlanContext) -> Object:
    """The AuthenticationConfiguration."""
    issuers = [
        ctx.manifest(
            "control-plane/issuer.yaml.j2",
            issuer=issuer,
            way="" if ctx.spec.control_plane.in_machines else "cluster",
            required=[
                {"claim": claim, "requiredValue": value}
                for claim, value in issuer.required_claims.items()
            ],
        )
        for issuer in ctx.spec.control_plane.authentication.issuers
    ]
    return ctx.manifest(f"control-plane/{FILE}.j2", issuers=issuers)
