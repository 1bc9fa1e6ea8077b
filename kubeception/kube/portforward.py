"""A port of a pod on 127.0.0.1, carried through the API server of the cluster the pod runs in."""

import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Self

from kubeception.errors import ApiError
from kubeception.kube.client import Cluster
from kubeception.kube.kinds import kind

CHUNK = 1 << 16
CARRIER = "Kubernetes port forward proxy"
"""How the websocket's library calls the threads that carry."""


class PortForward:
    """A local listener; each connection to it becomes one to the pod's port, any number at a time.

    What is carried stays encrypted from end to end if it was: nobody between reads it. Once the pod can't be
    connected to any more, `another` says which is to be instead.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, pod: str, port: int, another: Callable[[], str]
    ) -> None:
        self._cluster, self._namespace, self._port = cluster, namespace, port
        self._pod, self._another = pod, another
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name=f"forward {pod}", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()
        return str(host), int(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; connections end when either side closes them."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(local,), daemon=True).start()

    def _serve(self, local: socket.socket) -> None:
        with closing(local):
            try:
                remote = self._reach()
            except ApiError:
                return  # the other end sees a closed connection, as it would without a tunnel
            with closing(remote):
                back = threading.Thread(target=bring, args=(remote, local), daemon=True)
                back.start()
                send(local, remote)
                back.join()

    def _reach(self) -> socket.socket:
        try:
            return self._dial()
        except ApiError:
            pod = self._another()
            if pod in ("", self._pod):
                raise
            self._pod = pod
            return self._dial()

    def _dial(self) -> socket.socket:
        from kubernetes.client import ApiException
        from kubernetes.stream.ws_client import portforward_call

        configuration = self._cluster.configuration
        headers = {}
        if token := configuration.get_api_key_with_prefix("BearerToken"):
            headers["authorization"] = token
        try:
            forward = portforward_call(  # type: ignore[no-untyped-call]
                configuration,
                "GET",
                self._cluster.server + kind("Pod").path(self._namespace, self._pod, "portforward"),
                query_params=[("ports", str(self._port))],
                headers={**headers, "sec-websocket-protocol": "v4.channel.k8s.io"},
            )
        except ApiException as error:
            what = f"port {self._port} of Pod {self._namespace}/{self._pod}"
            raise ApiError(f"{what}: {error.reason}") from None
        if threading.excepthook is not heard:
            threading.excepthook = heard
        remote: socket.socket = forward.socket(self._port)
        return remote


def heard(
    died: threading.ExceptHookArgs, tell: Callable[..., object] = threading.excepthook
) -> None:
    """What is told of a thread that died; not of a carrier by the end of its connection, which both sides see."""
    carrier = died.thread is not None and died.thread.name.startswith(CARRIER)
    if not (carrier and issubclass(died.exc_type, OSError)):
        tell(died)


def send(local: socket.socket, remote: socket.socket) -> None:
    """Carry octets there until the local end has no more, then say so."""
    with suppress(OSError):
        while data := local.recv(CHUNK):
            remote.sendall(data)
    with suppress(OSError):
        remote.shutdown(socket.SHUT_WR)


def bring(remote: socket.socket, local: socket.socket) -> None:
    """Carry octets back until there are no more; on to their end, too, where nobody takes them any longer.

    Whoever writes them, a thread of the websocket's library, dies of a connection that is closed before it knows.
    """
    taken = True
    with suppress(OSError):
        while data := remote.recv(CHUNK):
            if not taken:
                continue
            try:
                local.sendall(data)
            except OSError:
                taken = False
                remote.shutdown(socket.SHUT_WR)
    with suppress(OSError):
        local.shutdown(socket.SHUT_RDWR)
