"""Mounts: which share or container a job sees at which path.

A mount in a job or a cluster names a volume of a storage account; on a node it is a link below a
mount root. Nothing here looks at a disk: where a volume's directory is, the caller says.
"""

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from batchai_quickstart import models
from batchai_quickstart.errors import NotFoundError
from batchai_quickstart.execution.plan import Link
from batchai_quickstart.service.environment import refused

VolumeKind = Literal["file", "blob"]
"""`file`: a share of Azure Files; `blob`: a container."""

VolumePath = Callable[[str, VolumeKind, str], str]
"""(account, kind, name) -> absolute directory of a volume; raises NotFoundError."""

MOUNT_ERRORS: dict[VolumeKind, str] = {"file": "AZFMountError", "blob": "BFSMountError"}
"""The code a job fails with when a volume of this kind cannot be mounted, as Batch AI had it."""

_MOUNT_MESSAGES: dict[VolumeKind, str] = {
    "file": "Unable to mount Azure File",
    "blob": "unable to mount blob fuse file system",
}
_VOLUME_NAME = re.compile(r"\$?[a-z0-9](?:-?[a-z0-9]){1,62}")
_ACCOUNT_NAME = re.compile(r"[a-z0-9]{3,24}")
_FILE_HOST = re.compile(r"([a-z0-9]+)\.file\..+")


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume at one path.

    Arguments:
        kind: share or container.
        account: the storage account's name.
        volume: the share's or container's name.
        path: where it appears, relative to a mount root, without `.` or `..`.
        field: the JSON path it was read from, for messages.
    """

    kind: VolumeKind
    account: str
    volume: str
    path: str
    field: str


def read_mounts(volumes: models.MountVolumes | None, field: str) -> tuple[Mount, ...]:
    """Read the mounts of a job or of a cluster's nodes.

    Arguments:
        volumes: the wire object, None for no mounts.
        field: its JSON path, for example `properties.mountVolumes`.

    Raises:
        InvalidRequestError: a mount that names no volume, leaves the mount root, lies in another
            one, or is of a kind that is not there yet.
    """
    if volumes is None:
        return ()
    if volumes.file_servers:
        raise refused(
            f"{field}.fileServers",
            "mounting file servers is not supported by this service yet: put the files into a "
            "share and mount it with azureFileShares",
        )
    if volumes.unmanaged_file_systems:
        raise refused(
            f"{field}.unmanagedFileSystems",
            "mount commands are not run by this service yet: mount the file system on this "
            "machine yourself and use its absolute path, or use azureFileShares",
        )
    mounts = [
        _share(reference, f"{field}.azureFileShares[{index}]")
        for index, reference in enumerate(volumes.azure_file_shares)
    ]
    mounts += [
        _container(reference, f"{field}.azureBlobFileSystems[{index}]")
        for index, reference in enumerate(volumes.azure_blob_file_systems)
    ]
    _refuse_overlaps(mounts)
    return tuple(mounts)


def volume_directories(
    mounts: Iterable[Mount], volume_path: VolumePath
) -> tuple[tuple[Mount, str], ...]:
    """Pair each mount with the directory of its volume.

    Raises:
        NotFoundError: a volume is not there; the code is the one the job fails with
            (`AZFMountError`, `BFSMountError`), the target the mount's JSON path.
    """
    found = []
    for mount in mounts:
        try:
            found.append((mount, volume_path(mount.account, mount.kind, mount.volume)))
        except NotFoundError as error:
            raise NotFoundError(
                f"{_MOUNT_MESSAGES[mount.kind]} {mount.volume!r} of account {mount.account!r} "
                f"at {mount.path!r}: {error.message}",
                code=MOUNT_ERRORS[mount.kind],
                target=mount.field,
            ) from error
    return tuple(found)


def links(directories: Iterable[tuple[Mount, str]], root: str) -> tuple[Link, ...]:
    """Lay mounts out below a mount root of a node.

    Arguments:
        directories: mounts with the directories of their volumes.
        root: absolute path of the mount root.
    """
    return tuple(
        Link(f"{root}/{mount.path}", target, MOUNT_ERRORS[mount.kind])
        for mount, target in directories
    )


def _share(reference: models.AzureFileShareReference, field: str) -> Mount:
    _check_credentials(reference.credentials, field)
    account, share = _read_share_url(reference.azure_file_url, f"{field}.azureFileUrl")
    given = reference.account_name.lower() if reference.account_name else None
    if given is not None and account is not None and given != account:
        raise refused(
            f"{field}.accountName",
            f"accountName is {reference.account_name!r}, but azureFileUrl names account "
            f"{account!r}: make them the same",
        )
    return Mount(
        kind="file",
        account=_account(given or account, f"{field}.accountName"),
        volume=share,
        path=_mount_path(reference.relative_mount_path, f"{field}.relativeMountPath"),
        field=field,
    )


def _container(reference: models.AzureBlobFileSystemReference, field: str) -> Mount:
    _check_credentials(reference.credentials, field)
    account = reference.account_name.lower() if reference.account_name else None
    return Mount(
        kind="blob",
        account=_account(account, f"{field}.accountName"),
        volume=_volume_name(reference.container_name, f"{field}.containerName"),
        path=_mount_path(reference.relative_mount_path, f"{field}.relativeMountPath"),
        field=field,
    )


def _check_credentials(credentials: models.AzureStorageCredentialsInfo | None, field: str) -> None:
    if credentials is not None and credentials.account_key_secret_reference is not None:
        raise refused(
            f"{field}.credentials.accountKeySecretReference",
            "this service reads no Key Vault: give accountKey, which is kept secret as well",
        )


def _read_share_url(url: str, field: str) -> tuple[str | None, str]:
    """Return (account if the URL names it, share).

    The host counts only for the account in its first label: a job file keeps naming
    `ACCOUNT.file.core.windows.net` wherever the share is served from.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if parts.scheme in ("http", "https") and host:
        by_host = _FILE_HOST.fullmatch(host)
        if by_host and len(segments) == 1:
            return by_host[1], _volume_name(segments[0], field)
        if not by_host:
            if len(segments) == 3 and segments[0] == "file":
                segments = segments[1:]
            if len(segments) == 2:
                return segments[0].lower(), _volume_name(segments[1], field)
            if len(segments) == 1:
                return None, _volume_name(segments[0], field)
    raise refused(
        field,
        f"{url!r} is no URL of a share; expected https://ACCOUNT.file.core.windows.net/SHARE "
        "(whole shares are mounted, no folders of them; placeholders are filled in by the client)",
    )


def _volume_name(name: str, field: str) -> str:
    if not _VOLUME_NAME.fullmatch(name) or len(name) > 63:
        raise refused(
            field,
            f"{name!r} is no name of a share or container: 3 to 63 lower-case letters, digits "
            "and single hyphens",
        )
    return name


def _account(name: str | None, field: str) -> str:
    if name is None:
        raise refused(field, "the mount names no storage account: set accountName")
    if not _ACCOUNT_NAME.fullmatch(name):
        raise refused(
            field, f"{name!r} is no storage account name: 3 to 24 lower-case letters and digits"
        )
    return name


def _mount_path(text: str, field: str) -> str:
    clean = posixpath.normpath(text)
    if text.startswith("/") or ".." in text.split("/") or clean == "." or "\0" in text:
        raise refused(
            field,
            f"{text!r} is no path below the mount root: give a relative one such as 'logs', "
            "without '..'",
        )
    return clean


def _refuse_overlaps(mounts: Iterable[Mount]) -> None:
    seen: list[Mount] = []
    for mount in mounts:
        for other in seen:
            if f"{mount.path}/".startswith(f"{other.path}/") or f"{other.path}/".startswith(
                f"{mount.path}/"
            ):
                relation = "is taken" if mount.path == other.path else "overlaps"
                raise refused(
                    f"{mount.field}.relativeMountPath",
                    f"mount path {mount.path!r} {relation}: {other.field} is mounted at "
                    f"{other.path!r}; give each volume a path of its own",
                )
        seen.append(mount)
