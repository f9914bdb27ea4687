"""Foreign exceptions become ours and stay what they were."""

import json
import pickle

import azure.core.exceptions as foreign
import pytest
import requests
from azure.core.pipeline.transport import HttpRequest, RequestsTransportResponse
from azure.identity import CredentialUnavailableError
from msrest.exceptions import ClientException as MsrestError

from batchai_quickstart import errors
from batchai_quickstart.client.translation import Foreign, translated, translating

SERVICE = "http://127.0.0.1:9999"


def response(status: int, body: object = None, **headers: str) -> RequestsTransportResponse:
    """An answer as azure-core sees it."""
    inner = requests.Response()
    inner.status_code = status
    inner.reason = "Reason"
    inner._content = json.dumps(body).encode() if body is not None else b""
    inner.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return RequestsTransportResponse(HttpRequest("GET", f"{SERVICE}/x?sig=secret"), inner)


def fail(error: Exception) -> None:
    """Raise what is given."""
    raise error


def every_class() -> list[type[Exception]]:
    """All exceptions azure-core has."""
    found = [item for item in vars(foreign).values() if isinstance(item, type)]
    return [item for item in found if issubclass(item, Exception)]


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_every_azure_core_exception_becomes_ours(kind: type[Exception]) -> None:
    """No exception of azure-core leaves the client untranslated, and each keeps its class."""
    assert issubclass(kind, Foreign)
    takes_response = {"ODataV4Error", "StreamConsumedError", "StreamClosedError"}
    if kind.__name__ in takes_response | {"ResponseNotReadError"}:
        error = kind(response(400))
    elif kind.__name__ == "TooManyRedirectsError":
        error = kind("[]")
    else:
        error = kind("said so")
    with pytest.raises(errors.BatchAIError) as caught, translating(SERVICE):
        fail(error)
    ours: Exception = caught.value
    assert isinstance(ours, kind)
    assert ours.__cause__ is error
    assert str(ours) == caught.value.message != ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 412, 429, 500, 501, 503])
def test_status_decides(status: int) -> None:
    """A refusal becomes the class of its status, a 5xx a ServiceError; facts are kept."""
    body = {"error": {"code": "JobNotFound", "message": "The specified job x is not found"}}
    error = foreign.HttpResponseError(response=response(status, body, x_ms_request_id="r1"))
    ours = translated(error, SERVICE)
    expected: type[errors.BatchAIError] = errors.ServiceError
    if status < 500:
        expected = errors.CLASS_OF_STATUS.get(status, errors.RequestError)
    assert type(ours).__mro__[1] is expected
    assert isinstance(ours, foreign.HttpResponseError)
    assert "The specified job x is not found" in str(ours)
    assert vars(ours)["code"] == "JobNotFound"
    assert vars(ours)["status"] == ours.status_code == status
    assert vars(ours)["request_id"] == "r1"


def test_generated_class_is_kept_and_made_once() -> None:
    """`except ResourceNotFoundError` still catches, and equal pairs share one class."""
    first = translated(foreign.ResourceNotFoundError(response=response(404)), SERVICE)
    second = translated(foreign.ResourceNotFoundError(response=response(404)), SERVICE)
    assert isinstance(first, errors.NotFoundError)
    assert isinstance(first, foreign.ResourceNotFoundError)
    assert type(first) is type(second)
    assert repr(first).startswith("NotFoundError(")


def test_answer_without_envelope_says_what_was_asked() -> None:
    """A bare status names method and URL, but never the query, which may be a signature."""
    text = str(translated(foreign.HttpResponseError(response=response(404)), SERVICE))
    assert "404" in text
    assert f"GET {SERVICE}/x" in text
    assert "secret" not in text


def test_translated_errors_survive_pickling() -> None:
    """Class, message, code, status and request id come back from a pickle."""
    body = {"error": {"code": "Conflict", "message": "in use", "target": "cluster"}}
    answered = response(409, body, x_ms_request_id="r2")
    ours = translated(foreign.ResourceExistsError(response=answered), SERVICE)
    again = pickle.loads(pickle.dumps(ours))  # noqa: S301 - our own
    assert type(again) is type(ours)
    assert isinstance(again, errors.ConflictError)
    assert (str(again), again.code, again.status, again.request_id) == (
        "in use",
        *("Conflict", 409, "r2"),
    )
    assert again.target == "cluster"


def test_refused_connection_names_endpoint_and_reason() -> None:
    """Nobody listening is told with the endpoint, the system's reason, and what to look at."""
    error = foreign.ServiceRequestError("outer", error=ConnectionRefusedError(111, "refused"))
    text = str(translated(error, SERVICE))
    assert SERVICE in text
    assert "refused" in text
    assert "batchai_quickstart status" in text


def test_missing_azure_identity_is_a_matter_of_configuration() -> None:
    """No Azure identity on this machine is our side's fault, and stays azure-identity's class."""
    ours = translated(CredentialUnavailableError("no identity"), SERVICE)
    assert isinstance(ours, errors.ConfigurationError)
    assert isinstance(ours, CredentialUnavailableError)


def test_failed_sign_in_is_an_authentication_error() -> None:
    """A sign-in that failed has no response and still is a 401."""
    ours = translated(foreign.ClientAuthenticationError("expired"), SERVICE)
    assert isinstance(ours, errors.AuthenticationError)
    assert ours.status == 401


def test_nonsense_is_a_service_error() -> None:
    """An answer the generated client cannot read is the service's fault."""
    ours = translated(MsrestError("bad date"), SERVICE)
    assert isinstance(ours, errors.ServiceError)
    assert isinstance(ours, MsrestError)


def test_our_own_errors_pass() -> None:
    """What is ours already is not wrapped again."""
    mine = errors.NotFoundError("mine")
    assert translated(mine, SERVICE) is mine
