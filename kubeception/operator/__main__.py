"""`python -m kubeception.operator`: the command of the operator's image."""

import sys
from collections.abc import Sequence

from kubeception.operator.options import options


def main(args: Sequence[str] | None = None) -> None:
    """Run until a signal ends it."""
    chosen = options(args)
    from kubeception.operator.process import run

    sys.exit(run(chosen))


if __name__ == "__main__":
    main()
