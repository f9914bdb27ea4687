"""Secret values of jobs and clusters, by the names they are stored under.

`env/NAME` is a secret environment variable, `mount/ACCOUNT` the key of a storage account.
"""

from collections.abc import Mapping

from batchai_quickstart import models

_VARIABLE = "env/"
_MOUNT = "mount/"


def of_job(job: models.JobBaseProperties) -> dict[str, str]:
    """Collect the secret values a job came with."""
    found = of_mounts(job.mount_volumes)
    for secret in job.secrets:
        if secret.value is not None:
            found[f"{_VARIABLE}{secret.name}"] = secret.value.get_secret_value()
    return found


def of_mounts(mounts: models.MountVolumes | None) -> dict[str, str]:
    """Collect the account keys of mounts."""
    found: dict[str, str] = {}
    if mounts is not None:
        for share in mounts.azure_file_shares:
            _add(found, share.account_name, share.credentials)
        for container in mounts.azure_blob_file_systems:
            _add(found, container.account_name, container.credentials)
    return found


def variables(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the secret environment variables among stored values."""
    return {
        name.removeprefix(_VARIABLE): value
        for name, value in stored.items()
        if name.startswith(_VARIABLE)
    }


def mount_key(stored: Mapping[str, str], account: str) -> str | None:
    """Return the key given for an account, if one was."""
    return stored.get(f"{_MOUNT}{account}")


def _add(
    found: dict[str, str],
    account: str | None,
    credentials: models.AzureStorageCredentialsInfo | None,
) -> None:
    if account is not None and credentials is not None and credentials.account_key is not None:
        found[f"{_MOUNT}{account.lower()}"] = credentials.account_key.get_secret_value()
