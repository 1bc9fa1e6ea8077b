"""Pass after pass until something is so: woken by what changes, ended by a deadline."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from kubeception import names
from kubeception.engine.leader import leader
from kubeception.engine.lease import Lease
from kubeception.engine.limit import Limit
from kubeception.engine.onlook import WATCHED, look
from kubeception.engine.reconcile import Engine
from kubeception.engine.report import Report
from kubeception.errors import (
    ApiError,
    KubeceptionError,
    NotFoundError,
    StoppedError,
    WaitTimeoutError,
)

LONGEST_PAUSE: Final = 5.0
"""Seconds after which the world is looked at although nothing was heard of it; the Lease is renewed with it."""
SILENCE_LIMIT: Final = 30.0
"""Seconds the host may be silent before that is an error."""

Told = Callable[[Report], None]


def until_ready(engine: Engine, seconds: float, told: Told) -> Report:
    """Work on a tenant until it is ready; with 0 seconds, one pass.

    Raises what no repetition mends, and WaitTimeoutError.
    """

    def done(report: Report) -> bool:
        if report.failures:
            raise report.failures[0]
        return report.ready or report.paused

    return _follow(engine, seconds, told, done)


def once(engine: Engine) -> Report:
    """Work on a tenant for one pass, or look at what its operator tells. Raises as a pass does."""
    return _follow(engine, 0, lambda _: None, lambda _: True)


def until_gone(engine: Engine, seconds: float, told: Told) -> None:
    """Work on a tenant that is being deleted until nothing of it is left.

    Raises WaitTimeoutError, and KubeceptionError when it is paused.
    """

    def done(report: Report) -> bool:
        if report.paused:
            raise KubeceptionError(
                f"tenant cluster {engine.name} is paused, so nothing of it is removed",
                hint=f"It goes on when spec.paused is false and the annotation {names.PAUSED_ANNOTATION} is gone.",
            )
        return report.ready

    try:
        _follow(engine, seconds, told, done)
    except NotFoundError:
        return  # somebody else brought it to its end


def _pass(engine: Engine, lease: Lease) -> Report | None:
    """A pass, if we may; a look at what an operator tells, if there is one; None while another run works.

    An operator reads the Lease before it begins and we look for it once we have the Lease, so that of
    two who begin at once at least one sees the other, and that is we who give way.
    """
    if leader(engine.host):
        lease.release()
        engine.changes.watch_all(engine.host, WATCHED, engine.namespace)
        return look(engine.host, engine.namespace, engine.name)
    had = lease.ours
    if not lease.hold():
        return None
    if not had and leader(engine.host):
        return _pass(engine, lease)
    return engine.step(Limit(lease.hold))


def _follow(engine: Engine, seconds: float, told: Told, done: Callable[[Report], bool]) -> Report:
    lease = Lease.of_tenant(engine.host, engine.namespace, engine.name, engine.clock)
    deadline, silent_since = time.monotonic() + seconds, None
    waits_for = ""
    try:
        while True:
            try:
                report = _pass(engine, lease)
                if report is not None:
                    told(report)
                    if done(report) or seconds == 0:
                        return report
                    waits_for, again = report.waits_for, report.soon
                else:
                    waits_for, again = f"{lease.holder()}, which works on it", 0.5
                silent_since = None
            except StoppedError as error:
                waits_for, again = f"its next pass ({error.message})", 0.5
            except ApiError as error:
                silent_since = silent_since or time.monotonic()
                if error.status != 0 or time.monotonic() - silent_since > SILENCE_LIMIT:
                    raise
                again = 0.5
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"{engine.name} is not done after {seconds:.0f} s; it waits for {waits_for}",
                    hint="Nothing was undone: the same command goes on from here.",
                )
            engine.changes.wait(min(left, again or LONGEST_PAUSE, LONGEST_PAUSE))
    finally:
        with suppress(KubeceptionError):  # it ends by itself
            lease.release()
