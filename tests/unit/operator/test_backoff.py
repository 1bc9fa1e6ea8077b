from kubeception.errors import ApiError, ConflictError, KubeceptionError, SpecError, StoppedError
from kubeception.operator.backoff import JITTER, PAUSES, Backoff, Trouble, trouble


def test_every_error_has_its_kind() -> None:
    found = {
        str(trouble(error))
        for error in (
            StoppedError("", reason="Deadline"),
            StoppedError("", reason="LeaseLost"),
            StoppedError("", reason="Heavy"),
            ConflictError(""),
            SpecError([]),
            ApiError("", status=0),
            ApiError("", status=403),
            KubeceptionError(""),
            ZeroDivisionError(),
        )
    }
    assert found == set(Trouble) - {Trouble.WAITING, Trouble.TENANT, Trouble.EXCESS}


def test_a_busy_host_is_not_a_refusal() -> None:
    assert trouble(ApiError("", status=429)) is Trouble.HOST
    assert trouble(ApiError("", status=503)) is Trouble.HOST
    assert trouble(ApiError("", status=422)) is Trouble.REFUSED


def test_pauses_double_up_to_the_longest_and_begin_anew_after_another_trouble() -> None:
    backoff = Backoff()
    first, longest = PAUSES[Trouble.HOST]
    expected = first
    for _ in range(12):
        assert abs(backoff.pause(Trouble.HOST) / expected - 1) <= JITTER + 1e-9
        expected = min(expected * 2, longest)
    assert expected == longest
    backoff.pause(Trouble.CONFLICT)
    assert backoff.pause(Trouble.HOST) <= first * (1 + JITTER)


def test_pauses_begin_anew_after_a_good_pass() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.pause(Trouble.BUG)
    backoff.reset()
    assert backoff.pause(Trouble.BUG) <= PAUSES[Trouble.BUG][0] * (1 + JITTER)


def test_tenants_that_failed_together_do_not_return_together() -> None:
    assert len({round(Backoff().pause(Trouble.HOST), 6) for _ in range(50)}) > 40
