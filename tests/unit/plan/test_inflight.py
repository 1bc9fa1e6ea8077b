import pytest

from kubeception.plan.inflight import limits


def flags(memory: str, replicas: int = 1) -> dict[str, str]:
    return limits({"resources": {"limits": {"memory": memory}}}, replicas)


@pytest.mark.parametrize(
    ("memory", "reading", "mutating"),
    [("64Mi", 80, 40), ("720Mi", 80, 40), ("2Gi", 228, 113), ("3600Mi", 400, 200)],
)
def test_memory_says_how_many_requests_are_worked_on_at_once(
    memory: str, reading: int, mutating: int
) -> None:
    expected = {"max-requests-inflight": str(reading)}
    expected["max-mutating-requests-inflight"] = str(mutating)
    assert flags(memory) == expected


def test_clients_are_spread_where_there_is_something_to_spread_them_over() -> None:
    assert flags("2Gi", replicas=2)["goaway-chance"] == "0.001"
    assert "goaway-chance" not in flags("2Gi")
