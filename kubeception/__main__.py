"""`python -m kubeception` is the command `kubeception`."""

from kubeception.cli import main

if __name__ == "__main__":
    main()
