"""Which of our exceptions a foreign one is.

Every exception that leaves the client is of our tree (`batchai_quickstart.errors`) and, where it
began as an azure-core exception, an instance of that class too: code written for the Azure packages
keeps catching what it caught. The joined classes are made once for each pair.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    SerializationError,
    ServiceRequestError,
    ServiceResponseError,
)
from msrest.exceptions import ClientException

from batchai_quickstart import errors

Foreign = (AzureError, SerializationError, DeserializationError, ClientException)
"""Everything the Azure packages raise on purpose."""

_THEIRS: dict[int, type[HttpResponseError]] = {
    401: ClientAuthenticationError,
    403: ClientAuthenticationError,
    404: ResourceNotFoundError,
    409: ResourceExistsError,
    412: ResourceModifiedError,
}
"""HTTP status -> what the official storage packages raise for it."""


@contextmanager
def translating(service: str) -> Iterator[None]:
    """Raise foreign exceptions of the block as ours.

    Arguments:
        service: the endpoint being spoken to, for messages about not reaching it.
    """
    try:
        yield
    except Foreign as error:
        raise translated(error, service) from error


def translated(error: Exception, service: str) -> errors.BatchAIError:
    """Return the exception of our tree that says what `error` says, still an instance of its class.

    By status for a refusal (404 is `NotFoundError`), `ServiceError` for 5xx, for a service that
    cannot be reached and for answers that make no sense, `ConfigurationError` for a credential
    missing on this side.

    Arguments:
        error: an exception of azure-core, azure-identity or msrest.
        service: the endpoint that was spoken to.
    """
    if isinstance(error, errors.BatchAIError):
        return error
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    facts = {
        "code": _code(error),
        "target": getattr(getattr(error, "error", None), "target", None),
        "status": status,
        "request_id": _header(response, "x-ms-request-id"),
    }
    kind: type[errors.BatchAIError]
    if type(error).__name__ == "CredentialUnavailableError":
        kind, message = errors.ConfigurationError, f"no credential for {service}: {error}"
    elif isinstance(error, HttpResponseError) and status is not None and 300 <= status < 500:
        kind = errors.CLASS_OF_STATUS.get(status, errors.RequestError)
        message = _message(error, status)
    elif isinstance(error, HttpResponseError) and status is None and _is_sign_in(error):
        kind, message = errors.AuthenticationError, str(error)
        facts["status"] = kind.status
    else:
        kind, message = errors.ServiceError, _trouble(error, service, status)
    return _rebuilt(kind, type(error), message, _without_sockets(error), facts)


def refusal(
    status: int, code: str | None, message: str, request_id: str | None
) -> errors.BatchAIError:
    """Return the exception for an answer of a storage service that is an error.

    Also an instance of the class that the official storage packages raise for it.

    Arguments:
        status: of the answer, 400 or more.
        code: its `x-ms-error-code`.
        message: what was asked and what was found.
        request_id: its `x-ms-request-id`.
    """
    theirs = _THEIRS.get(status, HttpResponseError)
    kind: type[errors.BatchAIError] = errors.ServiceError
    if status < 500:
        kind = errors.CLASS_OF_STATUS.get(status, errors.RequestError)
    their_facts = {"status_code": status, "error_code": code, "reason": None, "response": None}
    our_facts = {"code": code, "status": status, "request_id": request_id}
    return _rebuilt(kind, theirs, message, their_facts, our_facts)


def unreachable(error: Exception, endpoint: str) -> errors.BatchAIError:
    """Return the exception for a storage service that cannot be reached, or broke off.

    Also an `azure.core` `ServiceRequestError`.

    Arguments:
        error: of the HTTP library.
        endpoint: the address that was spoken to.
    """
    message = (
        f"cannot reach the storage service at {endpoint}: {_innermost(error)}. Is it running, and "
        "is that its address? The address comes from the connection string, from "
        "StorageAccount.open, or from the service that keeps the account (`python -m "
        "batchai_quickstart status`)."
    )
    return _rebuilt(
        errors.ServiceError, ServiceRequestError, message, {"inner_exception": None}, {}
    )


def _is_sign_in(error: Exception) -> bool:
    """Tell a failed sign-in, which azure-core raises without any response."""
    return type(error).__name__ == "ClientAuthenticationError"


def _code(error: Exception) -> str | None:
    """The wire's error code: storage has it in a header, ARM in the body."""
    for holder in (error, getattr(error, "error", None)):
        for name in ("error_code", "code"):
            value = getattr(holder, name, None)
            if value:
                return str(getattr(value, "value", value))
    return None


def _message(error: HttpResponseError, status: int) -> str:
    """The service's own sentence, else what was asked and the status it gave."""
    body = getattr(error, "error", None)
    said = getattr(body, "message", None)
    if said:
        return str(said)
    request = getattr(error.response, "request", None)
    asked = f" to {request.method} {request.url.split('?')[0]}" if request is not None else ""
    text = str(error.message or error.reason or "").strip().splitlines()
    return f"the service answered {status}{asked}: {text[0] if text else 'no reason given'}"


def _trouble(error: Exception, service: str, status: int | None) -> str:
    """One sentence about a service that failed, with what to look at."""
    if isinstance(error, DecodeError):
        return f"the answer of the service at {service} makes no sense: {error.message}"
    if status is not None and isinstance(error, HttpResponseError):
        return f"the service at {service} failed: {_message(error, status)}"
    if isinstance(error, ServiceRequestError):
        return (
            f"cannot reach the service at {service}: {_innermost(error)}. Is it running? "
            "`python -m batchai_quickstart status` tells; the endpoint comes from the call, "
            "BATCHAI_ENDPOINT or the config file."
        )
    if isinstance(error, ServiceResponseError):
        return f"the service at {service} broke off its answer: {_innermost(error)}"
    return f"the answer of the service at {service} makes no sense: {_innermost(error)}"


def _innermost(error: BaseException) -> str:
    """The operating system's reason beneath the layers of HTTP libraries."""
    inner: Any = error
    while True:
        below = getattr(inner, "inner_exception", None) or getattr(inner, "reason", None)
        if below is None and getattr(inner, "args", None):
            below = next((arg for arg in inner.args if isinstance(arg, BaseException)), None)
        if not isinstance(below, BaseException) or below is inner:
            return str(inner) or type(inner).__name__
        inner = below


def _header(response: Any, name: str) -> str | None:
    headers = getattr(response, "headers", None)
    value = headers.get(name) if headers is not None else None
    return str(value) if value else None


def _without_sockets(error: Exception) -> dict[str, Any]:
    """The foreign exception's own facts that survive pickling."""
    kept = ("reason", "status_code", "error", "model", "error_code", "continuation_token")
    state = {name: error.__dict__[name] for name in kept if name in error.__dict__}
    additional = error.__dict__.get("additional_info")
    if additional is not None:
        state["additional_info"] = dict(additional)
    if isinstance(error, HttpResponseError):
        state["response"] = None
    return state


_JOINED: dict[tuple[type, type], type[errors.BatchAIError]] = {}


def _joined(ours: type[errors.BatchAIError], theirs: type[Exception]) -> type[errors.BatchAIError]:
    """The class that is both: ours first, so its message and repr are what people see."""

    def reduce(self: Any) -> tuple[Any, ...]:
        return _rebuilt, (ours, theirs, self.message, self._theirs, self._ours)

    # ServiceError has no fields for what an HTTP answer adds; the class gives them a default.
    namespace = {
        "__module__": ours.__module__,
        "__doc__": ours.__doc__,
        "__reduce__": reduce,
        "__init__": Exception.__init__,
        "__str__": errors.BatchAIError.__str__,
        **{name: getattr(ours, name, None) for name in ("code", "status")},
        "target": None,
        "request_id": None,
    }
    # Two threads may both come here: the one class stays that was kept first.
    return _JOINED.setdefault((ours, theirs), type(ours.__name__, (ours, theirs), namespace))


def _rebuilt(
    ours: type[errors.BatchAIError],
    theirs: type[Exception],
    message: str,
    their_facts: dict[str, Any],
    our_facts: dict[str, Any],
) -> errors.BatchAIError:
    """Make the joined exception without running either `__init__`.

    The foreign ones want responses and have signatures of their own; what they would have set is
    in `their_facts`.
    """
    kind: type[errors.BatchAIError] = _JOINED.get((ours, theirs)) or _joined(ours, theirs)
    error = kind.__new__(kind, message)
    error.args = (message,)
    vars(error).update(
        their_facts, message=message, exc_msg=message, _theirs=their_facts, _ours=our_facts
    )
    vars(error).update({name: value for name, value in our_facts.items() if value is not None})
    return error
