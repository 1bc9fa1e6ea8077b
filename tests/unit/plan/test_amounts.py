import pytest

from kubeception.api.v1alpha1 import Budget
from kubeception.plan.amounts import Amounts, amounts, lacking, limits, told
from kubeception.plan.quantity import number

BUDGET = Budget(cpu="4", memory="8Gi", load_balancers=0)


def test_amounts_are_read_from_quantities_and_added() -> None:
    assert amounts("1500m", "1Gi") + amounts("1", "512Mi", "2Gi") == Amounts(
        2500, 1536 << 20, 2 << 30
    )


def test_only_what_a_budget_names_is_bounded_nothing_at_all_included() -> None:
    assert limits(BUDGET) == {"cpu": 4000, "memory": 8 << 30, "load_balancers": 0}
    assert limits(Budget()) == {}


def test_what_lacks_is_told_with_all_numbers() -> None:
    assert lacking(BUDGET, amounts("2", "1Gi"), amounts("2", "7Gi")) == []
    assert lacking(BUDGET, amounts("2100m", "1Gi", "1Ti"), amounts("2", "8Gi", "1Ti")) == [
        "cpu 4: 2100m are taken, and 2 more asked for",
        "memory 8Gi: 1Gi are taken, and 8Gi more asked for",
    ]


def test_what_is_over_already_hinders_nothing_that_takes_none_of_it() -> None:
    assert lacking(Budget(cpu="1"), amounts("3"), amounts("0", "1Gi")) == []


@pytest.mark.parametrize(
    ("field", "amount", "text"),
    [
        ("cpu", 0, "0"),
        ("cpu", 75, "75m"),
        ("cpu", 4000, "4"),
        ("memory", 448 << 20, "448Mi"),
        ("memory", 32 << 30, "32Gi"),
        ("memory", 1000, "1000"),
        ("storage", 0, "0"),
        ("load_balancers", 3, "3"),
    ],
)
def test_an_amount_is_told_as_a_quantity(field: str, amount: int, text: str) -> None:
    assert told(field, amount) == text
    assert number(text) == pytest.approx(amount / (1000 if field == "cpu" else 1))
