"""What is taken of a host: processors, memory, volumes, load balancers; and what of that a budget leaves."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from kubeception.api.v1alpha1 import Budget
from kubeception.plan.quantity import number

NAMES: Final = {
    "cpu": "cpu",
    "memory": "memory",
    "storage": "storage",
    "load_balancers": "loadBalancers",
}
"""Each field as a budget calls it."""


@dataclass(frozen=True)
class Amounts:
    """How much of each."""

    cpu: int = 0
    """Thousandths of a processor."""
    memory: int = 0
    """Octets."""
    storage: int = 0
    """Octets of volumes."""
    load_balancers: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(sum, zip(self, other, strict=True)))

    def __iter__(self) -> Iterator[int]:
        return (getattr(self, field.name) for field in fields(self))


def amounts(cpu: str = "0", memory: str = "0", storage: str = "0") -> Amounts:
    """The same from quantities as the API has them."""
    return Amounts(round(number(cpu) * 1000), round(number(memory)), round(number(storage)))


def limits(budget: Budget) -> dict[str, int]:
    """What a budget bounds, by field of Amounts."""
    found = {
        "cpu": amounts(cpu=budget.cpu).cpu if budget.cpu else None,
        "memory": amounts(memory=budget.memory).memory if budget.memory else None,
        "storage": amounts(storage=budget.storage).storage if budget.storage else None,
        "load_balancers": budget.load_balancers,
    }
    return {key: limit for key, limit in found.items() if limit is not None}


def told(field: str, amount: int) -> str:
    """An amount as a quantity."""
    if field == "load_balancers":
        return str(amount)
    if field == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    power = next((p for p in (3, 2, 1) if amount and amount % 1024**p == 0), 0)
    return f"{amount // 1024**power}{('', 'Ki', 'Mi', 'Gi')[power]}"


def lacking(budget: Budget, taken: Amounts, more: Amounts) -> list[str]:
    """Of what a budget has too little for this besides what is taken, each in words."""
    return [
        f"{NAMES[field]} {told(field, limit)}: {told(field, getattr(taken, field))} are taken, "
        f"and {told(field, getattr(more, field))} more asked for"
        for field, limit in limits(budget).items()
        if getattr(more, field) and getattr(taken, field) + getattr(more, field) > limit
    ]
