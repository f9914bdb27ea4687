"""Errors as JSON: the envelope of a refused request, and what went wrong with a job or cluster."""

from batchai_quickstart.models._base import Model
from batchai_quickstart.models.resources import NameValuePair


class BatchAIError(Model):
    """Something that went wrong with a job or a cluster."""

    code: str | None = None
    """For programs, for example `JobFailed`."""
    message: str | None = None
    """For people."""
    details: tuple[NameValuePair, ...] = ()
    """More facts, absent when there are none."""


class CloudErrorBody(Model):
    """Why a request was refused."""

    code: str | None = None
    """For programs, for example `JobNotFound`."""
    message: str | None = None
    """For people."""
    target: str | None = None
    """The member or parameter at fault."""
    details: tuple["CloudErrorBody", ...] = ()
    """The single reasons, where there are several."""


class CloudError(Model):
    """The envelope of a refused request."""

    error: CloudErrorBody | None = None
