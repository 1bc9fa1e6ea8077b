from kubeception.api.advice import ADVICE, advice
from kubeception.api.reasons import TROUBLES, Reason


def test_whoever_must_act_is_told_what_to_do() -> None:
    assert set(ADVICE) >= TROUBLES


def test_advice_is_about_the_cluster_it_is_given_for() -> None:
    assert advice(Reason.PAUSED, "acme") == "kubeception resume acme"
    assert all("NAME" not in advice(reason, "acme") for reason in Reason)
