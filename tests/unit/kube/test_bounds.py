import pytest

from kubeception.errors import ExcessError
from kubeception.kube.bounds import UNTRUSTED, VALUE, Bounds, Meter, weight

BOUNDS = Bounds(objects=1000, octets=3 << 20, answer_seconds=2, seconds=5)


def test_many_small_values_weigh_what_they_take() -> None:
    assert weight(b'{"a": "' + b"x" * 1000 + b'"}') == 1000 + 9
    assert weight(b"[" + b",".join([b"{}"] * 100) + b"]") == 200 * VALUE


def test_a_pass_has_so_much_and_what_is_refused_takes_nothing_of_it() -> None:
    meter = Meter(BOUNDS, "tenant cluster acme")
    meter.answered("reading nodes", 2 << 20)
    with pytest.raises(ExcessError) as raised:
        meter.answered("reading pods in default", 2 << 20)
    assert raised.value.message == (
        "tenant cluster acme: reading pods in default: with this answer there are 4.0 MiB; "
        "all answers of a pass may have 3.0 MiB"
    )
    meter.answered("reading nodes", 1 << 20)


def test_a_pass_has_so_much_time_and_no_answer_more_than_its_share() -> None:
    meter = Meter(BOUNDS, "tenant cluster acme")
    assert meter.left("reading nodes") == 2
    meter.took(4)
    assert meter.left("reading nodes") == 1
    meter.took(1.5)
    said = "acme: reading nodes: requests took 6 s; all those of a pass may take 5 s"
    with pytest.raises(ExcessError, match=said):
        meter.left("reading nodes")


def test_where_answers_are_too_much_again_and_again_nothing_more_is_asked_for() -> None:
    meter, first = Meter(BOUNDS, "tenant cluster acme"), ExcessError("the first")
    meter.exceeded(first)
    assert meter.left("reading nodes") == 2
    meter.exceeded(ExcessError("another"))
    with pytest.raises(ExcessError, match="the first"):
        meter.left("reading nodes")


@pytest.mark.parametrize(("pages", "objects"), [(2, 1000), (2, 0), (1, 1500)])
def test_a_list_has_an_end_whatever_is_on_its_pages(pages: int, objects: int) -> None:
    meter = Meter(BOUNDS, "tenant cluster acme")
    meter.paged("reading pods", 1, 500, 500)
    with pytest.raises(ExcessError, match=f"{objects} objects in {pages} pages, and more to come"):
        meter.paged("reading pods", pages, 500, objects)


def test_what_a_pass_may_hold_fits_into_the_operators_memory() -> None:
    """Parsed JSON takes six times its octets; the operator has 512 MiB, and 128 of them without any tenant."""
    assert UNTRUSTED.answer < UNTRUSTED.octets <= (512 - 128) * (1 << 20) // 6
