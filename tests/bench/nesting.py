"""How long an answer of the API server takes that `connect` leads to; run as its command."""

import os
import statistics
import time
from pathlib import Path
from typing import Final

import yaml

from kubeception.kube.client import Cluster

ASKED: Final = 50


def main() -> None:
    """Print the median in milliseconds."""
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    took = []
    with Cluster(document, "the API server") as cluster:
        cluster.version()
        for _ in range(ASKED):
            began = time.perf_counter()
            cluster.version()
            took.append(time.perf_counter() - began)
    print(statistics.median(took) * 1000)


if __name__ == "__main__":
    main()
