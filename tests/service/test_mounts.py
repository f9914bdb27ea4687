"""Which volume appears at which path."""

from typing import Any

import pytest

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError, NotFoundError
from batchai_quickstart.execution.plan import Link
from batchai_quickstart.service.mounts import (
    Mount,
    VolumeKind,
    links,
    read_mounts,
    volume_directories,
)

FIELD = "properties.mountVolumes"


def volumes(**parts: Any) -> models.MountVolumes:
    return models.MountVolumes.from_wire(parts)


def share(
    url: str = "https://mystorage.file.core.windows.net/logs",
    path: str = "logs",
    account: str | None = None,
) -> dict[str, Any]:
    named = {} if account is None else {"accountName": account}
    return {"azureFileUrl": url, "relativeMountPath": path, **named}


def container(name: str = "data", path: str = "data", account: str = "mystorage") -> dict[str, Any]:
    return {"accountName": account, "containerName": name, "relativeMountPath": path}


def directory(account: str, kind: VolumeKind, name: str) -> str:
    return f"/store/{account}/{kind}/{name}"


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://mystorage.file.core.windows.net/logs", None),
        ("https://mystorage.file.core.windows.net/logs/", "mystorage"),
        ("https://mystorage.file.core.windows.net/logs", "MyStorage"),
        ("https://MYSTORAGE.file.core.chinacloudapi.cn/logs", None),
        ("http://127.0.0.1:4711/file/mystorage/logs", None),
        ("http://localhost:4711/mystorage/logs", None),
        ("http://127.0.0.1:4711/logs", "mystorage"),
    ],
)
def test_share_urls_of_every_form_name_the_same_volume(url: str, account: str | None) -> None:
    """A share is known by account and name, wherever its URL says it is served from."""
    (mount,) = read_mounts(volumes(azureFileShares=[share(url, account=account)]), FIELD)
    assert mount == Mount("file", "mystorage", "logs", "logs", f"{FIELD}.azureFileShares[0]")


def test_links_lie_below_the_mount_root_and_carry_their_error() -> None:
    """Shares and containers become links below the root, each with its kind's error code."""
    mounts = read_mounts(
        volumes(
            azureFileShares=[share(path="deep/./logs/")],
            azureBlobFileSystems=[container()],
        ),
        FIELD,
    )
    assert links(volume_directories(mounts, directory), "/node/mounts") == (
        Link("/node/mounts/deep/logs", "/store/mystorage/file/logs", "AZFMountError"),
        Link("/node/mounts/data", "/store/mystorage/blob/data", "BFSMountError"),
    )


def test_no_mounts_are_no_links() -> None:
    """A job without mountVolumes mounts nothing."""
    assert read_mounts(None, FIELD) == ()


@pytest.mark.parametrize(
    ("part", "code", "found"),
    [
        ({"azureFileShares": [share()]}, "AZFMountError", "Unable to mount Azure File 'logs'"),
        ({"azureBlobFileSystems": [container()]}, "BFSMountError", "blob fuse file system 'data'"),
    ],
)
def test_a_missing_volume_carries_the_code_the_job_fails_with(
    part: dict[str, Any], code: str, found: str
) -> None:
    """A share or container that is not there: NotFoundError with the mount error's code."""

    def nothing(account: str, kind: VolumeKind, name: str) -> str:
        raise NotFoundError(f"account {account} has no {kind} {name}")

    with pytest.raises(NotFoundError, match=found) as caught:
        volume_directories(read_mounts(volumes(**part), FIELD), nothing)
    assert caught.value.code == code
    assert "account mystorage has no" in caught.value.message


@pytest.mark.parametrize(
    "path", ["", ".", "./", "/logs", "..", "../logs", "a/../../b", "a/../b", "lo\0gs"]
)
def test_mount_paths_do_not_leave_the_mount_root(path: str) -> None:
    """Empty, absolute and climbing mount paths are refused with their JSON path."""
    with pytest.raises(InvalidRequestError) as caught:
        read_mounts(volumes(azureFileShares=[share(path=path)]), FIELD)
    assert caught.value.target == f"{FIELD}.azureFileShares[0].relativeMountPath"


@pytest.mark.parametrize("path", ["logs", "./logs/", "logs/inner", "lo"])
def test_two_volumes_do_not_share_a_path(path: str) -> None:
    """Equal and nested mount paths are refused; a common beginning of the name is fine."""
    wanted = volumes(azureFileShares=[share()], azureBlobFileSystems=[container(path=path)])
    if path == "lo":
        assert [mount.path for mount in read_mounts(wanted, FIELD)] == ["logs", "lo"]
        return
    with pytest.raises(InvalidRequestError, match="mounted at 'logs'") as caught:
        read_mounts(wanted, FIELD)
    assert caught.value.target == f"{FIELD}.azureBlobFileSystems[0].relativeMountPath"


@pytest.mark.parametrize(
    "url",
    [
        "logs",
        "",
        "https://mystorage.file.core.windows.net",
        "https://mystorage.file.core.windows.net/logs/folder",
        "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>.file.core.windows.net/logs",
        "smb://mystorage.file.core.windows.net/logs",
        "https://mystorage.file.core.windows.net/..",
        "https://mystorage.file.core.windows.net/%2e%2e",
        "https://[broken/logs",
        "http://127.0.0.1/file/mystorage/logs/more",
    ],
)
def test_urls_that_name_no_share_are_refused(url: str) -> None:
    """A URL without exactly one share, or with a placeholder left in it, is a 400."""
    with pytest.raises(InvalidRequestError) as caught:
        read_mounts(volumes(azureFileShares=[share(url)]), FIELD)
    assert (caught.value.code, caught.value.status) == ("InvalidPropertyValue", 400)


@pytest.mark.parametrize(
    ("part", "target"),
    [
        ({"azureFileShares": [share(account="other")]}, "azureFileShares[0].accountName"),
        (
            {"azureFileShares": [share("http://127.0.0.1:1/logs")]},
            "azureFileShares[0].accountName",
        ),
        (
            {"azureBlobFileSystems": [container(account="<PLACEHOLDER>")]},
            "azureBlobFileSystems[0].accountName",
        ),
        (
            {"azureBlobFileSystems": [container(name="../secrets")]},
            "azureBlobFileSystems[0].containerName",
        ),
        (
            {"fileServers": [{"fileServer": {"id": "/x"}, "relativeMountPath": "nfs"}]},
            "fileServers",
        ),
        (
            {"unmanagedFileSystems": [{"mountCommand": "mount x", "relativeMountPath": "u"}]},
            "unmanagedFileSystems",
        ),
        (
            {
                "azureBlobFileSystems": [
                    {
                        **container(),
                        "credentials": {
                            "accountKeySecretReference": {
                                "sourceVault": {"id": "/v"},
                                "secretUrl": "https://v/s",
                            }
                        },
                    }
                ]
            },
            "azureBlobFileSystems[0].credentials.accountKeySecretReference",
        ),
    ],
)
def test_what_cannot_be_mounted_is_refused_by_name(part: dict[str, Any], target: str) -> None:
    """Contradictions, bad names and kinds of mounts that are not there yet name their JSON path."""
    with pytest.raises(InvalidRequestError) as caught:
        read_mounts(volumes(**part), FIELD)
    assert caught.value.target == f"{FIELD}.{target}"
    assert f"{FIELD}.{target}" in caught.value.message
