"""What every request to the service passes through: where it goes, its token, its retries."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final
from urllib.parse import urlsplit, urlunsplit

from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, RetryPolicy
from azure.core.pipeline.transport import RequestsTransport

from batchai_quickstart.client.connection import ServiceInfo
from batchai_quickstart.client.longpoll import CONNECT_TIMEOUT, LONGEST, READ_TIMEOUT

if TYPE_CHECKING:
    import requests


@final
class Place:
    """Where requests go now: changes only when the embedded service had to be found again."""

    def __init__(
        self, endpoint: str, token: str | None, locate: Callable[[], ServiceInfo] | None
    ) -> None:
        self.endpoint = endpoint
        self.token = token
        self._first = endpoint
        self._locate = locate

    def find_again(self) -> bool:
        """Look for the embedded service, starting it if it is gone; False for any other one."""
        if self._locate is None:
            return False
        info = self._locate()
        self.endpoint, self.token = info.endpoint.rstrip("/"), info.token
        return True

    def moved(self, url: str) -> str:
        """Return `url` on the present endpoint, if it is one of the endpoint begun with."""
        if self.endpoint == self._first or not url.startswith(self._first):
            return url
        here = urlsplit(self.endpoint)
        return urlunsplit(urlsplit(url)._replace(scheme=here.scheme, netloc=here.netloc))


@final
class TokenPolicy(HTTPPolicy[Any, Any]):
    """Sends the bearer token, over loopback http too, where the stock policy refuses.

    The embedded service leaves when it is idle for long; a request that finds it gone brings it
    back and is sent once more (nothing of it was read by anyone: the connection was refused).
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send `request` with the token, a second time if the service has moved meanwhile."""
        try:
            return self._send(request)
        except ServiceRequestError:
            if not self._place.find_again():
                raise
            return self._send(request)

    def _send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        http = request.http_request
        http.url = self._place.moved(http.url)
        # A token never follows a link of a response to another host.
        if http.url.startswith(self._place.endpoint + "/"):
            http.headers["Authorization"] = f"Bearer {self._place.token}"
        return self.next.send(request)


def sending_options(
    session: "requests.Session", place: Place, *, has_token: bool
) -> dict[str, Any]:
    """Arguments of a management client; made anew for each, as a policy belongs to one pipeline.

    Arguments:
        session: the HTTP session to send through.
        place: where to, and the token.
        has_token: the token is sent; else the client signs in with its credential.
    """
    options: dict[str, Any] = {
        "transport": RequestsTransport(
            session=session,
            session_owner=False,
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT + LONGEST,
        ),
        # One quick second try for a connection refused; short steps for a service that is
        # restarting. The stock policy would keep a person waiting for half a minute.
        "retry_policy": RetryPolicy(
            retry_total=4,
            retry_connect=1,
            retry_read=2,
            retry_status=3,
            retry_backoff_factor=0.1,
            retry_backoff_max=2,
        ),
        "polling_interval": 1,
    }
    if has_token:
        options["authentication_policy"] = TokenPolicy(place)
    return options
