"""What can go wrong, as a person is told of it.

KubeceptionError            exit 1   something failed; the base of all
├── UsageError              exit 2   the command line or its files can't be used
│   └── SpecError           exit 2   every problem of a spec at once
│       └── BudgetError     exit 2   a budget has no room for what a spec asks for
├── WaitTimeoutError        exit 3   the time to wait is over; the work goes on when repeated
├── NotFoundError           exit 4   the named object does not exist
├── HostUnreachableError    exit 5   no host cluster answers
├── ConflictError           exit 1   somebody else owns or changed the object
├── StoppedError            exit 1   a pass was ended before its end, by those who run it
├── SshError                exit 1   a machine can't be reached by SSH, or isn't the one it was
└── ApiError                exit 1   an API server refused or failed a request
    └── ExcessError         exit 1   an API server answers more than is read of it
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar


class KubeceptionError(Exception):
    """A failure a person can act on.

    The message says what was being done, to what, and what was found; `hint` is what to do.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", output: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.output = output
        """What a failed command printed, shown below the message."""


class UsageError(KubeceptionError):
    """The command line, or a file it names, can't be used as given."""

    exit_code = 2


class SpecError(UsageError):
    """A spec with problems: each is a line `path: what is wrong`."""

    def __init__(self, problems: Sequence[str], *, what: str = "the spec", hint: str = "") -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{what} has {count}:{lines}", hint=hint)
        self.problems = tuple(problems)


class BudgetError(SpecError):
    """What a spec asks for is more than a budget has room for: its own, or that of a cluster it is in."""


class WaitTimeoutError(KubeceptionError):
    """The time given for waiting is over; nothing was undone, and the same command goes on."""

    exit_code = 3


class NotFoundError(KubeceptionError):
    """The named object does not exist."""

    exit_code = 4


class HostUnreachableError(KubeceptionError):
    """No host cluster answers."""

    exit_code = 5


class ConflictError(KubeceptionError):
    """Somebody else owns the object, or changed it in between."""


class StoppedError(KubeceptionError):
    """A pass was ended before its end: its time is over, or it may not write any more.

    `reason` is CamelCase. Nothing was undone, and the next pass goes on.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SshError(KubeceptionError):
    """A machine can't be reached by SSH, is not the one it was, or lets nobody in."""


class ApiError(KubeceptionError):
    """An API server refused or failed a request.

    `status` is its HTTP code, 0 when no answer came; `causes` are the single objections, where it names them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        hint: str = "",
        causes: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)


class ExcessError(ApiError):
    """An API server that isn't trusted answers more, or takes more time, than it may: no more is read of it.

    That is no silence: there is no sense in looking for another way to it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason="Excess")
