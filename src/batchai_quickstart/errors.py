"""Every exception of the package, and the one table code <-> class <-> HTTP status.

BatchAIError
├── ConfigurationError          no usable endpoint, credential or setting on this side
├── RequestError                the service refused a request
│   ├── InvalidRequestError     400: malformed, impossible or unsupported
│   │   └── InvalidSpecError    400: a JSON document breaks the schema (carries every finding)
│   ├── AuthenticationError     401
│   ├── ForbiddenError          403
│   ├── NotFoundError           404
│   ├── ConflictError           409
│   └── ThrottledError          429
├── ServiceError                the service failed, could not be started or reached
├── WaitTimeoutError            a wait ended before what it waited for (also TimeoutError)
├── JobFailedError              a job ended `failed`: exit code, errors, end of stderr
└── TransferError               an upload or download ended incomplete or altered

The service raises them and writes `code` and `message` into the wire's error envelope; the client
reads the envelope and raises the same class. At that border (client/gateway.py) each is also made
an instance of the azure-core class of the same meaning, so code written for the Azure packages
keeps catching what it caught; this module itself imports nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class BatchAIError(Exception):
    """Base of all errors raised by batchai_quickstart.

    Arguments:
        message: what was asked, what was found, what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ConfigurationError(BatchAIError):
    """No usable endpoint, credential or setting on this side of the wire."""


class RequestError(BatchAIError):
    """The service refused a request.

    Arguments:
        message: the wire's message.
        code: the wire's error code, for example `JobNotFound`; the class's own by default.
        target: the JSON path or parameter at fault, where the service names one.
        status: the HTTP status; the class's own by default.
        request_id: the service's id of the request (`x-ms-request-id`), for its logs.
    """

    status: int = 400
    code: str = "BadRequest"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        target: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.target = target
        self.request_id = request_id

    def envelope(self) -> dict[str, Any]:
        """The ARM error body: `{"error": {"code", "message", "target"?}}`."""
        body = {"code": self.code, "message": self.message}
        if self.target is not None:
            body["target"] = self.target
        return {"error": body}


class InvalidRequestError(RequestError):
    """400: the request is malformed, impossible, or names something unsupported."""

    status = 400
    code = "InvalidRequest"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a JSON document.

    `path` is the JSON path (`properties.cntkSettings.processCount`), `problem` says what was found
    and what was expected, `suggestion` is the nearest valid name or value, if there is one.
    """

    path: str
    problem: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.path or '(top level)'}: {self.problem}{hint}"


class InvalidSpecError(InvalidRequestError, ValueError):
    """400: a JSON document does not follow the schema.

    Arguments:
        findings: everything that is wrong, in document order; at least one.
        where: the document's name for the message, for example a file path.
    """

    code = "InvalidPropertyValue"

    def __init__(self, findings: Sequence[Finding], *, where: str = "") -> None:
        self.findings = tuple(findings)
        self.where = where
        head = f"{where}: " if where else ""
        super().__init__(
            head + "; ".join(str(finding) for finding in self.findings),
            target=self.findings[0].path or None,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_spec_error, (type(self), self.findings, self.where)


def _rebuild_spec_error(
    kind: type[InvalidSpecError], findings: tuple[Finding, ...], where: str
) -> InvalidSpecError:
    return kind(findings, where=where)


class AuthenticationError(RequestError):
    """401: no credential, or one the service does not accept."""

    status = 401
    code = "AuthenticationFailed"


class ForbiddenError(RequestError):
    """403: a valid identity that may not do this, or a wrong or expired storage signature."""

    status = 403
    code = "AuthorizationFailed"


class NotFoundError(RequestError):
    """404: the resource, its parent, or the thing it names does not exist."""

    status = 404
    code = "ResourceNotFound"


class ConflictError(RequestError):
    """409: the resource exists already, is being deleted, or is in use."""

    status = 409
    code = "Conflict"


class ThrottledError(RequestError):
    """429: too many requests; the service says when to come back."""

    status = 429
    code = "TooManyRequests"


class ServiceError(BatchAIError):
    """The service failed (5xx), could not be started, or could not be reached."""


class WaitTimeoutError(BatchAIError, TimeoutError):
    """A wait ended before what it waited for; the job itself goes on."""


class JobFailedError(BatchAIError):
    """A job ended `failed`.

    Arguments:
        message: one sentence with the job's name and why it failed.
        job: the job's name.
        exit_code: the command's exit code; None when it never ran or was terminated.
        errors: `(code, message)` of each entry of `executionInfo.errors`.
        stderr_tail: the end of the job's standard error, empty when there is none.
    """

    def __init__(
        self,
        message: str,
        *,
        job: str,
        exit_code: int | None,
        errors: Sequence[tuple[str, str]] = (),
        stderr_tail: str = "",
    ) -> None:
        super().__init__(message)
        self.job = job
        self.exit_code = exit_code
        self.errors = tuple(errors)
        self.stderr_tail = stderr_tail

    def __str__(self) -> str:
        if not self.stderr_tail:
            return self.message
        return f"{self.message}\n--- end of stderr ---\n{self.stderr_tail.rstrip()}"


class TransferError(BatchAIError):
    """An upload or download ended incomplete or altered; nothing half-written was kept."""


CLASS_OF_STATUS: dict[int, type[RequestError]] = {
    kind.status: kind
    for kind in (
        InvalidRequestError,
        AuthenticationError,
        ForbiddenError,
        NotFoundError,
        ConflictError,
        ThrottledError,
    )
}
"""HTTP status -> the class the client raises for it; other 4xx are `RequestError`."""
