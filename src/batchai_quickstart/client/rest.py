"""Requests to a storage service: sent over connections that stay open, signed, repeated, judged.

Plain HTTP over urllib3, which azure-core and requests stand on too. Every request is one that
may be sent again, so whatever looks like a passing fault is.
"""

import base64
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from batchai_quickstart.client.access import Access, Service
from batchai_quickstart.client.connection import is_loopback
from batchai_quickstart.client.sas import account_signature
from batchai_quickstart.errors import BatchAIError, InvalidRequestError

if TYPE_CHECKING:
    import urllib3

VERSION: Final = "2023-11-03"
"""Of the protocol: old enough for every service and emulator, new enough for renames."""
ATTEMPTS: Final = 5
"""How often a request is sent before its fault is taken for lasting."""
PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 60.0
_CONNECT_TIMEOUT: Final = 10.0
_READ_TIMEOUT: Final = 60.0
_CONNECTIONS: Final = 64
_LIFE: Final = timedelta(days=1)
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error.

    Arguments:
        status: 2xx, or one of those the caller said it takes.
        headers: of the answer; names in any case.
        body: the whole body; empty where it is streamed.
        stream: the body still to be read, for who asked so; else None.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: "urllib3.BaseHTTPResponse | None" = None

    def xml(self) -> ET.Element:
        """The body as an XML document.

        Raises:
            ServiceError: it is none.
        """
        try:
            # expat ends at entities that would grow; documents of a service have none at all.
            return ET.fromstring(self.body.removeprefix(_BOM))  # noqa: S314
        except ET.ParseError as error:
            from batchai_quickstart.errors import ServiceError

            raise ServiceError(f"the storage service's listing is no XML: {error}") from error


@final
class Rest:
    """The wire to one storage account, for any number of threads; opened again after a fork.

    Arguments:
        access: says how the account is reached, when first needed.
    """

    def __init__(self, access: Callable[[], Access]) -> None:
        self.access = access
        self._lock = threading.Lock()
        self._opened: tuple[int, urllib3.PoolManager] | None = None
        self._signature: tuple[str, str, datetime] | None = None
        self.can_rename = True
        """Whether renames are worth trying: no emulator but ours has them."""

    def close(self) -> None:
        """Close the connections that nobody uses; the next request opens new ones."""
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].clear()
            self._opened = None

    def url(self, service: Service, volume: str, path: str = "") -> str:
        """The address of a container or share, or of something in it, without a signature.

        Raises:
            InvalidRequestError: the name cannot be sent.
        """
        try:
            inner = quote(f"{volume}/{path}" if path else volume, safe="/~", errors="strict")
        except UnicodeEncodeError:
            raise InvalidRequestError(
                f"{path!r} is not Unicode text, which names in storage are; rename the file",
                code="InvalidResourceName",
            ) from None
        return f"{self.access().endpoint(service)}/{inner}"

    def signed(self, url: str) -> str:
        """An address of the account with the credential in it, as the source of a rename has it."""
        query = self._credential(self.access())
        return f"{url}?{query}" if query else url

    def send(
        self,
        service: Service,
        method: str,
        volume: str,
        path: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        stream: bool = False,
        takes: tuple[int, ...] = (),
        lost: tuple[int, ...] = (),
    ) -> Answer:
        """Send a request, again after passing faults, and return the answer.

        Arguments:
            service: Blob or Files.
            method: the HTTP verb.
            volume: container or share.
            path: of the thing in it; empty for itself.
            query: parameters, not encoded.
            headers: beside those of every request.
            body: of the request.
            stream: leave the body of a good answer to be read by the caller.
            takes: error statuses that are answers to the caller.
            lost: the same for a request that is sent again, because an earlier one may have been
                carried out and its answer lost.

        Raises:
            RequestError: the service refused it.
            ServiceError: the service failed, or cannot be reached, however often it was asked.
        """
        import urllib3

        access = self.access()
        signature = self._credential(access)
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in (query or {}).items())
        url = self.url(service, volume, path)
        full = f"{url}?{'&'.join(part for part in (pairs, signature) if part)}"
        sent = {"x-ms-version": VERSION, **(headers or {})}
        if service == "file":
            # Without it trailing dots of names would be cut off.
            sent |= {"x-ms-allow-trailing-dot": "true"}
        if access.credential is not None:
            sent |= _bearer(access.credential, service)
        for attempt in range(1, ATTEMPTS + 1):
            wait = None
            try:
                response = self._pool.urlopen(
                    method,
                    full,
                    body=body if body or method == "PUT" else None,
                    headers=sent,
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                    retries=False,
                )
                if is_cut(response, method):
                    response.close()
                    raise urllib3.exceptions.ProtocolError("the head of the answer is cut off")
                expected = takes if attempt == 1 else (*takes, *lost)
                good = response.status < 300 or response.status in expected
                if good and stream:
                    return Answer(response.status, response.headers, b"", response)
                content = response.read()
                response.release_conn()
            except transport_errors() as error:
                if attempt == ATTEMPTS:
                    from batchai_quickstart.client.translation import unreachable

                    raise unreachable(error, access.endpoint(service)) from error
            else:
                if good:
                    return Answer(response.status, response.headers, content)
                if response.status not in PASSING or attempt == ATTEMPTS:
                    raise _refusal(response, content, f"{method} {url}", access, volume, path)
                wait = response.headers.get("Retry-After")
            time.sleep(pause(attempt, wait))
        raise AssertionError("the last attempt returns or raises")

    def _credential(self, access: Access) -> str:
        """The query every request is signed by: one signature serves for half of its life."""
        if access.key is None:
            return access.sas or ""
        now = datetime.now(UTC)
        kept = self._signature
        if kept is None or kept[0] != access.key or kept[2] - now < _LIFE / 2:
            expiry = now + _LIFE
            kept = (access.key, account_signature(access.name, access.key, expiry), expiry)
            self._signature = kept
        return kept[1]

    @property
    def _pool(self) -> "urllib3.PoolManager":
        opened = self._opened
        # Sockets do not survive a fork: two processes would read each other's answers.
        if opened is not None and opened[0] == os.getpid():
            return opened[1]
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), _pool(self.access().blob_endpoint))
            return self._opened[1]


def pause(attempt: int, wait: str | None) -> float:
    """Seconds to wait after a failed attempt: what the service asks, else twice the last.

    Arguments:
        attempt: how many have failed, at least 1.
        wait: the answer's `Retry-After`, in seconds or as a date.
    """
    if wait is not None:
        try:
            seconds = float(wait)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(wait).timestamp() - time.time()
            except ValueError:
                seconds = _FIRST_PAUSE
        return min(max(seconds, 0.0), _LONGEST_PAUSE)
    return float(_FIRST_PAUSE * 2 ** (attempt - 1))


def is_cut(response: "urllib3.BaseHTTPResponse", method: str) -> bool:
    """Whether a connection broke within the head of an answer.

    http.client takes what came for all of it; an answer that does not say how long it is, or of
    which bytes it is, could then pass for a shorter file. Where no body can come (RFC 9112, 6.3)
    only the length of a file is missed: Azurite says nothing of a body with 404 to HEAD.
    """
    headers = response.headers
    if response.status == 204 or (method == "HEAD" and response.status != 200):
        return False
    is_framed = "Content-Length" in headers or "Transfer-Encoding" in headers
    return not is_framed or (response.status == 206 and "Content-Range" not in headers)


def transport_errors() -> tuple[type[Exception], ...]:
    """What a connection that cannot be made, or breaks, raises."""
    import urllib3

    return urllib3.exceptions.HTTPError, OSError


def md5_text(digest: str | None) -> str | None:
    """Hexadecimal MD5 of the base64 one of the wire; None where there is none that makes sense."""
    try:
        return base64.b64decode(digest, validate=True).hex() or None if digest else None
    except ValueError:
        return None


def _refusal(
    response: "urllib3.BaseHTTPResponse",
    content: bytes,
    asked: str,
    access: Access,
    volume: str,
    path: str,
) -> BatchAIError:
    from batchai_quickstart.client.translation import refusal

    status = response.status
    code = response.headers.get("x-ms-error-code")
    said = ""
    try:
        document = ET.fromstring(content.removeprefix(_BOM))  # noqa: S314 - as above
        code = code or document.findtext("Code")
        said = (document.findtext("Message") or "").partition("\n")[0]
    except ET.ParseError:
        pass
    account = f"storage account {access.name}"
    if code in ("ContainerNotFound", "ShareNotFound"):
        kind = code.removesuffix("NotFound").lower()
        message = f"there is no {kind} {volume!r} in {account} ({asked})"
    elif code in ("BlobNotFound", "ResourceNotFound") and path:
        message = f"there is no {path!r} in {volume!r} of {account} ({asked})"
    elif code == "AuthenticationFailed":
        credential = "key" if access.key else "signature" if access.sas else "token"
        message = (
            f"the {credential} for {account} is not accepted: {said or 'no reason given'} ({asked})"
        )
    else:
        what = f"{status} {code or ''}".strip()
        message = f"the storage service answered {what} to {asked}: {said or 'no reason given'}"
    return refusal(status, code, message, response.headers.get("x-ms-request-id"))


def _bearer(credential: Any, service: Service) -> dict[str, str]:
    # The credential keeps its token until it expires.
    token = credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    # Files has no permissions of single files by token but through this.
    return headers if service == "blob" else headers | {"x-ms-file-request-intent": "backup"}


def _pool(endpoint: str) -> "urllib3.PoolManager":
    import urllib3
    from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

    options: dict[str, Any] = {
        "num_pools": 8,
        "maxsize": _CONNECTIONS,
        # 128 KiB writes: the default of 16 KiB halves the speed of uploads.
        "blocksize": 1 << 17,
        "timeout": urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT),
        "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH,
    }
    # No proxy can reach this machine's own ports.
    proxies = {} if is_loopback(endpoint) else get_environ_proxies(endpoint)
    proxy = proxies.get(endpoint.partition(":")[0]) or proxies.get("all")
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
