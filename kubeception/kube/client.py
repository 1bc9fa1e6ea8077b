"""A Kubernetes API server: get, list, apply, delete, patch, logs; objects are plain dicts."""

import copy
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.rest import should_bypass_proxies

from kubeception import __version__, names
from kubeception.errors import (
    ApiError,
    ConflictError,
    ExcessError,
    KubeceptionError,
    NotFoundError,
)
from kubeception.kube.bounds import Bounds, Meter, weight
from kubeception.kube.kinds import KINDS, Kind, kind as kind_of
from kubeception.kube.kubeconfig import Files, with_files
from kubeception.kube.patience import Patience
from kubeception.kube.prompt import PromptSocket

# Retries and discarded connections are no news; what fails is raised.
logging.getLogger("urllib3").setLevel(logging.ERROR)

Object = dict[str, Any]
Objects = list[Object]

Limit = Callable[[str], float]
"""Is asked before each request, with its method; the seconds the answer may take. Raises what ends the work."""
Told = Callable[[int], None]
"""Is told of how much was answered, in octets, before that is parsed. Raises what ends the work."""

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
"""For the whole of an answer."""
LOG_SECONDS: Final = 300.0
"""For a log that isn't followed."""
CONNECTIONS: Final = 32
"""Kept alive; more are made where more are needed at once, and closed after use."""
BODY_LIMIT: Final = 64 << 20
"""Octets of an answer that are read, of whomever; less of one who isn't trusted (`bounds`)."""
REFUSAL_LIMIT: Final = 1 << 20
"""Octets of an answer that says why not."""
SAID_LIMIT: Final = 2000
"""Characters that one who isn't trusted may say in an error."""
PAGE: Final = 500

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
STRATEGIC: Final = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Access:
    """What a connection to an API server takes."""

    server: str
    """Its URL."""
    tls: ssl.SSLContext | None
    server_name: str
    """What the certificate must be good for; empty: the URL's host."""
    headers: Mapping[str, str]
    """Of every request, credentials among them."""
    proxy: str
    """URL of an HTTP proxy; empty without one."""


@dataclass
class Writes:
    """How many requests of a client changed something."""

    count: int = 0


class Cluster:
    """One API server as one user.

    Methods may be called from several threads. All raise ApiError (status 0: no answer), of which
    a 404 that isn't an answer by itself is a NotFoundError, and a 409 a ConflictError.
    """

    def __init__(
        self,
        kubeconfig: Mapping[str, Any],
        title: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        patience: Patience | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """`kubeconfig` has one context; `title` names the cluster in errors: `host cluster lab`.

        With `patience` no request takes longer than it has; streams (watches, logs) do. With `bounds` its
        API server isn't trusted: no more is read of it than they say, and ExcessError is raised.
        """
        self.title, self.bounds = title, bounds
        self._patience = patience
        self.meter: Meter | None = None
        self.told: Told | None = None
        self._connect_seconds = connect_seconds
        self.writes = Writes()
        self.limit: Limit | None = None
        self._files = Files()
        self._learned: dict[tuple[str, str], Kind] = {}
        self._lock = threading.Lock()
        self.configuration = _configuration(with_files(kubeconfig, self._files), title)
        self.configuration.retries = _Retry.of(trusted=bounds is None)
        self._api = ApiClient(self.configuration)
        self._api.user_agent = f"kubeception/{__version__}"
        self._context: ssl.SSLContext | None = None
        if self.server.startswith("https:"):
            options = self._api.rest_client.pool_manager.connection_pool_kw
            options["ssl_context"] = self._context = self._tls(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._api.close()  # type: ignore[no-untyped-call]
        self._files.close()

    def limited(self, limit: Limit | None, told: Told | None = None) -> "Cluster":
        """The same client for one pass: with a count of writes and a measure of bounds of its own.

        `limit` may refuse requests or cut them short, `told` hears of the answers of one who has bounds. It is
        closed with the one it comes from. Streams (watches, logs) are not limited.
        """
        result = copy.copy(self)
        result.writes, result.limit, result.told = Writes(), limit, told
        result.meter = Meter(self.bounds, self.title) if self.bounds else None
        return result

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.configuration.host)

    def get(self, kind: str | Kind, name: str, namespace: str = "") -> Object | None:
        """An object, or None when it doesn't exist."""
        with suppress(NotFoundError):
            return self._object("GET", kind, namespace, name)
        return None

    def list(
        self, kind: str | Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Objects:
        """The objects of a kind, in a namespace or in all, that a label and a field selector leave.

        A kind the server doesn't have is an empty list.
        """
        return self.list_at(kind, namespace, labels=labels, fields=fields)[0]

    def list_metadata(self, kind: str | Kind) -> Objects:
        """All objects of a kind, without what they hold."""
        return self.list_at(kind, accept=METADATA)[0]

    def list_at(
        self,
        kind: str | Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        accept: str = "",
    ) -> tuple[Objects, str]:
        """`list`, and the resource version from which a watch goes on."""
        found = kind_of(kind)
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE)}
        objects: Objects = []
        path, what = found.path(namespace), _what(found, namespace)
        meter, pages = self.meter or (Meter(self.bounds, self.title) if self.bounds else None), 0
        while True:
            try:
                page = self._request("GET", path, what, query, accept=accept, meter=meter)
            except NotFoundError:
                return objects, ""
            if not _is_list(page):
                raise ApiError(f"{self.title}: reading {what}: the answer is not a list of objects")
            objects += [_typed(found, item) for item in page["items"] or ()]
            token = page["metadata"].get("continue")
            if not token:
                return objects, page["metadata"].get("resourceVersion", "")
            query["continue"] = str(token)
            pages += 1
            if meter:
                meter.paged(f"reading {what}", pages, PAGE, len(objects))

    def apply(
        self,
        obj: Object,
        *,
        manager: str = names.FIELD_MANAGER,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply; the object as the server then has it."""
        meta = obj["metadata"]
        return self._object(
            "PATCH",
            self.kind_of(obj),
            meta.get("namespace", ""),
            meta["name"],
            subresource,
            query={"fieldManager": manager, "force": "true", "dryRun": "All" if dry_run else ""},
            body=obj,
            content=APPLY,
        )

    def create(self, obj: Object, *, manager: str = names.FIELD_MANAGER) -> Object:
        """Create an object; a ConflictError if there is one of that name."""
        found, meta = kind_of(obj["kind"]), obj["metadata"]
        namespace = meta.get("namespace", "")
        what = _what(found, namespace, meta.get("name", ""))
        query = {"fieldManager": manager}
        return _typed(found, self._request("POST", found.path(namespace), what, query, body=obj))

    def replace(self, obj: Object, *, subresource: str = "") -> Object:
        """Update an object as a whole; a ConflictError if it has changed since it was read."""
        meta = obj["metadata"]
        return self._object(
            "PUT", obj["kind"], meta.get("namespace", ""), meta["name"], subresource, body=obj
        )

    def patch(
        self,
        kind: str | Kind,
        name: str,
        body: Mapping[str, Any],
        namespace: str = "",
        *,
        subresource: str = "",
        content: str = MERGE,
    ) -> Object | None:
        """Merge `body` into an object; None when it doesn't exist."""
        query = {"fieldManager": names.FIELD_MANAGER}
        with suppress(NotFoundError):
            return self._object(
                "PATCH", kind, namespace, name, subresource, query=query, body=body, content=content
            )
        return None

    def delete(
        self,
        kind: str | Kind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace: int | None = None,
        propagation: str = "Background",
    ) -> bool:
        """Ask for an object's deletion (only if it still is the one with this uid); False when there is none."""
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        found = kind_of(kind)
        try:
            path, what = found.path(namespace, name), _what(found, namespace, name)
            self._request("DELETE", path, what, body=options)
        except NotFoundError:
            return False
        except ConflictError:
            if not uid:
                raise
            return False  # another object of that name by now, which is not the one to delete
        return True

    def served(self, api_version: str, kind: str) -> Kind | None:
        """A kind as the table has it, or else as this server last said (`learn`); None for one it doesn't have."""
        found = KINDS.get(kind)
        if found is not None and found.api_version == api_version:
            return found
        return self._learned.get((api_version, kind))

    def learn(self, api_version: str) -> None:
        """Ask which kinds the server has of a group and version."""
        group, _, version = api_version.rpartition("/")
        path, answer = f"/apis/{api_version}" if group else f"/api/{version}", {}
        with suppress(NotFoundError):
            answer = self._request("GET", path, f"the kinds of {api_version}")
        found = [
            Kind(str(entry["kind"]), group, version, str(entry["name"]), bool(entry["namespaced"]))
            for entry in answer.get("resources") or ()
            if {"kind", "name", "namespaced"} <= entry.keys() and "/" not in entry["name"]
        ]
        with self._lock:
            for gone in [key for key in self._learned if key[0] == api_version]:
                del self._learned[gone]
            for kind in found:
                if KINDS.get(kind.name) != kind:
                    self._learned[api_version, kind.name] = kind

    def kind_of(self, obj: Object) -> str | Kind:
        """What an object's kind is called here: the name of one of the table, else what was learned of it."""
        learned = self._learned.get((obj.get("apiVersion", ""), obj["kind"]))
        return learned or str(obj["kind"])

    def evict(self, pod: Object) -> None:
        """Ask for a pod's eviction; ApiError 429, its causes the budgets, while a PodDisruptionBudget forbids it."""
        meta = pod["metadata"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            "deleteOptions": {"preconditions": {"uid": meta["uid"]}},
        }
        found, namespace = kind_of("Pod"), meta["namespace"]
        path = found.path(namespace, meta["name"], "eviction")
        self._request("POST", path, _what(found, namespace, meta["name"]), body=body)

    def logs(
        self,
        pod: str,
        namespace: str,
        container: str,
        *,
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        """The lines of a container's log, with `follow` until it ends; `previous`: of the one before it."""
        query = {
            "container": container,
            "follow": "true" if follow else "",
            "previous": "true" if previous else "",
        }
        if tail is not None:
            query["tailLines"] = str(tail)
        found = kind_of("Pod")
        response = self._open(
            "GET",
            found.path(namespace, pod, "log"),
            query=query,
            doing=f"reading the log of {_what(found, namespace, pod)}",
            read_seconds=None if follow else LOG_SECONDS,
        )
        for line in _lines(response):
            yield line.decode(errors="replace")

    def access(self) -> Access:
        """What it takes to open a connection of one's own; may run the kubeconfig's credential plug-in."""
        headers = self._headers()
        proxy = self.configuration.proxy or ""
        if should_bypass_proxies(self.server, self.configuration.no_proxy or ""):
            proxy = ""
        if proxy and urlsplit(proxy).scheme != "http":
            raise ApiError(
                f"{self.title}: nothing can be watched through {urlsplit(proxy).scheme} proxies"
            )
        name = self.configuration.tls_server_name or ""
        return Access(self.server, self._context, name, headers, proxy)

    def _headers(self) -> dict[str, str]:
        """Of every request, credentials among them."""
        headers: dict[str, str] = dict(self._api.default_headers)
        try:
            found: dict[str, Any] = dict(self.configuration.auth_settings())
        except kubernetes_config.ConfigException as error:
            raise ApiError(f"{self.title}: its credentials: {error}") from None
        headers.update({auth["key"]: auth["value"] for auth in found.values() if auth["value"]})
        return headers

    def raw(self, path: str, *, seconds: float = READ_SECONDS) -> str | None:
        """What a GET of a path answers, as text; None for 404."""
        with suppress(NotFoundError):
            answer = self._whole("GET", path, doing=f"reading {path}", read_seconds=seconds)
            return answer.decode(errors="replace")
        return None

    def call(self, path: str, body: Mapping[str, Any], doing: str) -> Object:
        """What a POST of a path answers that is about no object; `doing` is for errors: `compacting it`."""
        return self._request("POST", path, path, body=body, doing=doing)

    def version(self, *, seconds: float = READ_SECONDS) -> str:
        """The server's version, such as `v1.36.3`: also the shortest proof that this user gets an answer."""
        return str(json.loads(self.raw("/version", seconds=seconds) or "{}").get("gitVersion", ""))

    def _object(
        self,
        method: str,
        kind: str | Kind,
        namespace: str,
        name: str,
        subresource: str = "",
        **request: Any,
    ) -> Object:
        """The object that a request about it answers."""
        found = kind_of(kind)
        path, what = found.path(namespace, name, subresource), _what(found, namespace, name)
        return _typed(found, self._request(method, path, what, **request))

    def _request(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str] | None = None,
        *,
        doing: str = "",
        **request: Any,
    ) -> Object:
        """The JSON object that a request answers."""
        doing = doing or f"{VERBS[method]} {what}"
        seconds = min(READ_SECONDS, self.limit(method)) if self.limit else READ_SECONDS
        answer = self._whole(
            method, path, doing=doing, query=query, read_seconds=seconds, **request
        )
        try:
            result = json.loads(answer)
        except (ValueError, RecursionError):
            raise ApiError(f"{self.title}: {doing}: the answer is not JSON") from None
        if not isinstance(result, dict):
            raise ApiError(f"{self.title}: {doing}: the answer is not an object")
        return result

    def _whole(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        read_seconds: float,
        meter: Meter | None = None,
        **request: Any,
    ) -> bytes:
        """All of an answer, as far as bounds allow."""
        meter = meter or self.meter
        most = self.bounds.answer if self.bounds else BODY_LIMIT
        if self.bounds:
            read_seconds = min(read_seconds, self.bounds.answer_seconds)
        if meter:
            read_seconds = min(read_seconds, meter.left(doing))

        def ask() -> bytes:
            response = self._open(method, path, doing=doing, read_seconds=read_seconds, **request)
            return self._body(response, doing, most)

        began = time.monotonic()
        try:
            answer = self._patience(ask, read_seconds) if self._patience else ask()
            if self.bounds:
                self._weigh(weight(answer), doing, most, meter)
        except ExcessError as error:
            raise (meter.exceeded(error) if meter else error) from None
        finally:
            if meter:
                meter.took(time.monotonic() - began)
        return answer

    def _weigh(self, octets: int, doing: str, most: int, meter: Meter | None) -> None:
        """Whether what one who isn't trusted answered may be parsed; ExcessError where it may not."""
        if self.told:
            self.told(min(octets, most))
        if octets > most:
            raise self._too_long(doing, most)
        if meter:
            meter.answered(doing, octets)

    def _open(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = JSON,
        accept: str = "",
        read_seconds: float | None = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """The answer, of which no more than its head has come. It is followed nowhere, and not unpacked."""
        if method != "GET" and not (query or {}).get("dryRun"):
            with self._lock:
                self.writes.count += 1
        asked = urlencode([(key, value) for key, value in (query or {}).items() if value])
        try:
            response = self._api.rest_client.pool_manager.urlopen(
                method,
                f"{self.server}{quote(path)}?{asked}" if asked else f"{self.server}{quote(path)}",
                redirect=False,
                body=None if body is None else json.dumps(body).encode(),
                headers={**self._headers(), "Accept": accept or JSON, "Content-Type": content},
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=self._connect_seconds, read=read_seconds),
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._silence(doing, error) from None
        if not 200 <= response.status <= 299:
            raise self._error(doing, response)
        return response

    def _body(self, response: urllib3.BaseHTTPResponse, doing: str, most: int) -> bytes:
        """All of an answer; an ApiError where it is too long, or breaks off."""
        try:
            data: bytes = response.read(most + 1)
            if len(data) > most:
                response.close()
                raise self._too_long(doing, most)
            response.read(1)  # the end of the stream: the connection can be used again
        except urllib3.exceptions.HTTPError as error:
            response.close()
            raise self._silence(doing, error) from None
        finally:
            response.release_conn()
        return data

    def _too_long(self, doing: str, most: int) -> ApiError:
        said = f"{self.title}: {doing}: the answer is longer than {most >> 20} MiB"
        return ExcessError(said) if self.bounds else ApiError(said)

    def _error(self, doing: str, response: urllib3.BaseHTTPResponse) -> KubeceptionError:
        """A refused or failed request as a person is told of it."""
        status, reason, said = response.status, "", str(response.reason or "")
        causes: list[str] = []
        try:
            answer = json.loads(self._body(response, doing, REFUSAL_LIMIT))
            reason, said = str(answer.get("reason") or ""), str(answer.get("message") or said)
            found = (answer.get("details") or {}).get("causes") or ()
            causes = [str(cause.get("message", "")) for cause in found]
        except (AttributeError, RecursionError, TypeError, ValueError, ApiError):
            pass  # its status is what there is
        said = said.strip()[:SAID_LIMIT] if self.bounds else said.strip()
        message = f"{self.title}: {doing}: {said}"
        if status == 404:
            return NotFoundError(message)
        if status == 409:
            return ConflictError(message)
        hint = {
            401: "The credentials in the kubeconfig are not (or no longer) accepted.",
            403: "This user lacks the right to do that.",
        }.get(status, "")
        return ApiError(message, status=status, reason=reason, hint=hint, causes=causes)

    def _silence(self, doing: str, error: Exception) -> ApiError:
        """A request that got no answer."""
        cause: BaseException = error
        if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
            cause = error.reason
        reason, found, hint = "Unreachable", str(cause).split(": ", 1)[-1], ""
        text = str(error)
        if "Connection refused" in text:
            found = "connection refused"
        elif isinstance(cause, urllib3.exceptions.NewConnectionError):
            pass
        elif isinstance(cause, urllib3.exceptions.ConnectTimeoutError):
            found = f"nothing answers within {self._connect_seconds:.0f} s"
        elif isinstance(cause, urllib3.exceptions.ReadTimeoutError | TimeoutError):
            reason, found = "Timeout", "no answer in time"
        elif "CERTIFICATE_VERIFY_FAILED" in text or "SSL" in type(cause).__name__:
            reason = "TLS"
            hint = "The kubeconfig's certificate authority doesn't fit: is this another or a later cluster?"
        message = f"{self.title} ({self.server}): {doing}: {found}"
        return ApiError(message, status=0, reason=reason, hint=hint)

    def _tls(self, options: dict[str, Any]) -> ssl.SSLContext:
        """One TLS context for all connections; only the given CA counts, where one is given."""
        try:
            context = ssl.create_default_context(cafile=options.pop("ca_certs", None))
            context.sslsocket_class = PromptSocket
            if not self.configuration.verify_ssl:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if certificate := options.pop("cert_file", None):
                context.load_cert_chain(certificate, options.pop("key_file", None))
        except (OSError, ssl.SSLError) as error:
            raise ApiError(f"{self.title}: the certificates of the kubeconfig: {error}") from None
        for used in ("key_file", "ca_cert_data"):
            options.pop(used, None)
        return context


def listens(address: tuple[str, int], seconds: float = 2.0) -> bool:
    """Whether anything accepts connections at a host and port: the cheapest question there is."""
    with suppress(OSError), socket.create_connection(address, seconds):
        return True
    return False


VERBS: Final = {
    "GET": "reading",
    "POST": "creating",
    "PUT": "updating",
    "PATCH": "writing",
    "DELETE": "deleting",
}


def _typed(kind: Kind, answer: Object) -> Object:
    """The object with its kind, which the items of a list lack."""
    return {"apiVersion": kind.api_version, "kind": kind.name, **answer}


def _what(kind: Kind, namespace: str, name: str = "") -> str:
    """`Secret kube-system/token`, or `Secrets in kube-system`."""
    if name:
        return f"{kind.name} {namespace}/{name}" if namespace else f"{kind.name} {name}"
    return f"{kind.plural} in {namespace}" if namespace else kind.plural


def _is_list(page: Object) -> bool:
    """Whether an answer has the form of a list: all else there is of its objects depends on their kind."""
    items, meta = page.get("items") or [], page.get("metadata")
    if not isinstance(items, list) or not isinstance(meta, dict) or "items" not in page:
        return False
    metas = [item.get("metadata") if isinstance(item, dict) else None for item in items]
    return all(isinstance(meta, dict) and isinstance(meta.get("name"), str) for meta in metas)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a streamed answer until it ends, is closed or breaks off."""
    rest = b""
    try:
        while chunk := response.read1(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > BODY_LIMIT:
                raise ApiError(f"a line is longer than {BODY_LIMIT >> 20} MiB")
    except (urllib3.exceptions.HTTPError, OSError):
        pass  # it broke off: what came is what there is
    finally:
        response.close()
    if rest:
        yield rest


def _read_token(path: Path, configuration: Configuration) -> None:
    """Take the token of the file as it is now: a pod's is replaced while it runs."""
    with suppress(OSError):
        configuration.api_key["BearerToken"] = f"Bearer {path.read_text().strip()}"


class _Retry(urllib3.Retry):
    """No second try of what took too long: that would be twice the time it may take."""

    @classmethod
    def of(cls, *, trusted: bool) -> Self:
        """Who isn't trusted doesn't say when to come again."""
        return cls(
            total=3,
            connect=0,
            redirect=0,
            read=1,
            status=2,
            backoff_factor=0.1,
            allowed_methods=("GET", "PATCH", "PUT", "DELETE"),
            raise_on_status=False,
            respect_retry_after_header=trusted,
        )

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: urllib3.connectionpool.ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _configuration(kubeconfig: Mapping[str, Any], title: str) -> Configuration:
    """The kubeconfig's one context, with whatever credential plug-in it names."""
    configuration = Configuration()
    users = [entry["user"] for entry in kubeconfig.get("users") or ()]
    try:
        kubernetes_config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
            kubeconfig, client_configuration=configuration, persist_config=False
        )
    except (kubernetes_config.ConfigException, KeyError, TypeError, ValueError) as error:
        raise ApiError(f"{title}: its kubeconfig can't be used: {error}") from None
    # The library's own hook reads the environment at each request: only plug-ins need one.
    if not any({"exec", "auth-provider"} & user.keys() for user in users):
        configuration.refresh_api_key_hook = None
    if file := users[0].get("tokenFile") if users else None:
        configuration.refresh_api_key_hook = partial(  # type: ignore[assignment]  # untyped there
            _read_token, Path(file)
        )
    configuration.connection_pool_maxsize = CONNECTIONS
    return configuration
