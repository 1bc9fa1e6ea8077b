"""How long a bootstrap token is good for: a quarter of an hour, and again while its machine is awaited. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from kubeception import names
from kubeception.plan.facts import Object
from kubeception.plan.secret import data_of

LIFE: Final = timedelta(minutes=15)
"""How long a token that got into wrong hands is good for, once its machine isn't awaited any more."""
LONG_AGO: Final = datetime.fromtimestamp(0, UTC)


def expiry(machine_until: datetime, now: datetime) -> datetime:
    """When a token ends that is written now, of a machine that is awaited until then."""
    return min(now + LIFE, machine_until)


def renewal(token: Object, machine_until: datetime) -> datetime | None:
    """When a token is to be written anew, before it ends; None where it isn't."""
    if names.BY_HAND_LABEL in token["metadata"]["labels"]:
        return None
    ends = _end(token)
    return ends - LIFE / 2 if ends < machine_until else None


def _end(token: Object) -> datetime:
    """As the tenant has it, where it may say anything: what can't be read has ended."""
    try:
        said = data_of(token).get("expiration", b"").decode()
        return max(LONG_AGO, datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
    except ValueError:
        return LONG_AGO
