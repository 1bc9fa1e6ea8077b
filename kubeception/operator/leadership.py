"""Which replica works: the one that holds the Lease. `create` sees by the same Lease that an operator works here."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from kubeception import names
from kubeception.engine.lease import Lease
from kubeception.errors import KubeceptionError
from kubeception.kube.client import Cluster

RENEWAL: Final = 4.0
LOOK_SECONDS: Final = 1.0
REQUEST_SECONDS: Final = 3.0
"""How long the host may take to answer about the Lease."""

log = logging.getLogger(__name__)


class Leadership:
    """Set while this process may work; it ends by itself when the host doesn't answer."""

    def __init__(self, host: Cluster, namespace: str, identity: str, *, elected: bool) -> None:
        client = host.limited(lambda _: REQUEST_SECONDS)
        self._lease = Lease(
            client,
            namespace,
            names.OPERATOR,
            lambda: datetime.now(UTC),
            identity,
            labels={names.TENANT_LABEL: ""},
            renewal=RENEWAL,
        )
        self._elected = elected
        self._woken = asyncio.Event()
        self.leads = asyncio.Event()
        self.gained: Callable[[], None] = lambda: None
        """Called when this process begins to lead."""
        if not elected:
            self.leads.set()

    @property
    def ours(self) -> bool:
        """Whether it may write; from any thread, without asking."""
        return self._lease.ours or not self._elected

    def wake(self) -> None:
        """The Lease changed: look now."""
        self._woken.set()

    async def run(self) -> None:
        """Get the Lease and hold it until cancelled. It is written without an election too: `create` looks for it."""
        while True:
            held = False
            try:
                held = await asyncio.to_thread(self._lease.hold)
            except KubeceptionError as error:
                log.warning("the leader's Lease: %s", error.message)
            self._judge(held=held)
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()

    def _judge(self, *, held: bool) -> None:
        if held and not self.leads.is_set():
            log.info("this process leads")
            self.leads.set()
            self.gained()
        elif not self.ours and self.leads.is_set():
            log.warning("this process no longer leads")
            self.leads.clear()

    async def release(self) -> None:
        """Let another replica begin at once."""
        self.leads.clear()
        with suppress(KubeceptionError):
            await asyncio.to_thread(self._lease.release)
