"""The operator's process, from its start to its end."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import kopf

from kubeception import __version__
from kubeception.engine.reconcile import now
from kubeception.engine.view import HostView
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster
from kubeception.kube.kubeconfig import default_paths, load
from kubeception.kube.service_account import service_account
from kubeception.operator import handlers, logs, server
from kubeception.operator.lanes import Lanes
from kubeception.operator.leadership import Leadership
from kubeception.operator.metrics import Metrics
from kubeception.operator.options import Options
from kubeception.operator.tenants import Desk, Tenants
from kubeception.operator.watches import HostWatches

POLL_SECONDS: Final = 1.0
END_SECONDS: Final = 5.0
"""The longest that an end may take, whatever still runs."""
GARBAGE: Final = (20_000, 20, 20)
"""Thresholds of Python's collector: with its own it takes a tenth of the time of passes, and finds little."""
GAUGES: Final = {
    "kubeception_leader": "1 where this replica works.",
    "kubeception_tenants": "TenantClusters known.",
    "kubeception_tenants_seen": "TenantClusters that had a pass of this process.",
    "kubeception_queue": "Passes that are due and wait for a place.",
    "kubeception_passes_running": "Passes that run.",
}
"""What is looked up when it is asked for."""

log = logging.getLogger(__name__)


def run(options: Options) -> int:
    """Run until a signal; the process's exit code."""
    logs.set_up(options.log_format, options.log_level)
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    try:
        asyncio.run(_run(options))
    except KubeceptionError as error:
        log.critical("%s%s", error.message, f" {error.hint}" if error.hint else "")
        code = 1
    except Exception:
        log.critical("the operator ends", exc_info=True)
        code = 1
    else:
        log.info("ended")
        code = 0
    # A pass whose tenant doesn't answer would keep the interpreter from its end.
    sys.stderr.flush()
    os._exit(code)


def own_account(options: Options) -> dict[str, Any] | None:
    """The way to the host by the pod's service account; None outside a pod, and where a kubeconfig is named."""
    return None if options.kubeconfig or options.context else service_account()


def connect(options: Options) -> Cluster:
    """The host: of a kubeconfig where one is named, else as the pod's service account."""
    if document := own_account(options):
        return Cluster(document, "host cluster")
    config = load((options.kubeconfig,)) if options.kubeconfig else load(default_paths())
    name = options.context or config.current
    return Cluster(config.select(name), f"host cluster {name}")


class _Operator:
    """The parts of one process."""

    def __init__(self, options: Options, host: Cluster) -> None:
        self.options, self.host = options, host
        self.metrics, self.lanes = Metrics(), Lanes(options.workers)
        self.leadership = Leadership(
            host, options.namespace, options.identity, elected=options.leader_election
        )
        self.watches = HostWatches(host)
        desk = Desk(
            host,
            self.leadership,
            self.lanes,
            self.metrics,
            options.resync,
            self.watches,
            HostView(host, now),
            in_pod=own_account(options) is not None,
        )
        self.tenants = Tenants(desk)
        self.leadership.gained = self.tenants.host_answers
        self.expected: set[tuple[str, str]] | None = None
        """TenantClusters there were at the start, that were not heard of yet."""
        self.stop = asyncio.Event()
        self._gauges()

    def listen(self) -> None:
        """End at a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._end)

    def _end(self) -> None:
        self.stop.set()
        bound = threading.Timer(END_SECONDS, os._exit, (0,))
        bound.daemon = True
        bound.start()

    def unready(self) -> str:
        """What is missing before this replica can work, or take over."""
        if self.expected is None:
            return "the host cluster has not answered yet"
        self.expected -= self.tenants.keys
        return f"{len(self.expected)} TenantClusters not heard of yet" if self.expected else ""

    def _gauges(self) -> None:
        looks: dict[str, Callable[[], float]] = {
            "kubeception_leader": self.leadership.leads.is_set,
            "kubeception_tenants": lambda: len(self.tenants),
            "kubeception_tenants_seen": lambda: self.tenants.seen,
            "kubeception_queue": lambda: self.lanes.waiting,
            "kubeception_passes_running": lambda: self.lanes.running,
        }
        for name, text in GAUGES.items():
            self.metrics.gauge(name, text, looks[name])


async def _run(options: Options) -> None:
    host = connect(options)
    operator = _Operator(options, host)
    operator.listen()
    runner = await server.serve(options.address, options.port, operator.metrics, operator.unready)
    log.info("kubeception %s works on %s", __version__, host.server)
    stopped: asyncio.Task[object] = asyncio.create_task(operator.stop.wait(), name="signal")
    tasks = (stopped, asyncio.create_task(_work(operator), name="work"))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await operator.leadership.release()
        for task in tasks:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


async def _work(operator: _Operator) -> None:
    """Watch, lead and work until cancelled."""
    await _expect(operator)
    leading = asyncio.create_task(operator.leadership.run(), name="leadership")
    watch, ready = operator.options.watch, asyncio.Event()
    watching = asyncio.create_task(
        kopf.operator(
            registry=handlers.registry(operator.tenants, operator.host),
            settings=handlers.settings(),
            clusterwide=not watch,
            namespaces=watch,
            stop_flag=operator.stop,
            ready_flag=ready,
        ),
        name="kopf",
    )
    tasks = (leading, watching)
    listening = asyncio.create_task(_listen(operator, ready), name="listen")
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*tasks, listening):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(operator: _Operator, ready: asyncio.Event) -> None:
    """Take the signals back from kopf, which would wait for all that runs before anything is released."""
    await ready.wait()
    operator.listen()


async def _expect(operator: _Operator) -> None:
    """Wait until the host serves our kinds, and note which TenantClusters there are."""
    told, watched = "", operator.options.watch
    while operator.expected is None:
        try:
            _, pools = await asyncio.to_thread(operator.host.list_at, "NodePool")
            found, version = await asyncio.to_thread(operator.host.list_at, "TenantCluster")
            missing = "the host does not serve TenantCluster and NodePool yet"
        except KubeceptionError as error:
            pools, missing = "", error.message
        else:
            keys = {(o["metadata"]["namespace"], o["metadata"]["name"]) for o in found}
            if pools and version:
                operator.expected = {key for key in keys if not watched or key[0] in watched}
                return
        if missing != told:
            log.warning("%s", missing)
            told = missing
        await asyncio.sleep(POLL_SECONDS)
