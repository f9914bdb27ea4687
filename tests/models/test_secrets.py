"""Secrets go in and come out only where they are asked for."""

import logging
import pickle
import traceback
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidSpecError, ServiceError

SECRET = "hunter2-c2VjcmV0"

HOLDERS: list[tuple[type[models.Model], dict[str, Any], str]] = [
    (models.AzureStorageCredentialsInfo, {"accountKey": SECRET}, "accountKey"),
    (
        models.AppInsightsReference,
        {"component": {"id": "/a"}, "instrumentationKey": SECRET},
        "instrumentationKey",
    ),
    (models.EnvironmentVariableWithSecretValue, {"name": "S", "value": SECRET}, "value"),
    (models.PrivateRegistryCredentials, {"username": "u", "password": SECRET}, "password"),
    (
        models.UserAccountSettings,
        {"adminUserName": "u", "adminUserPassword": SECRET},
        "adminUserPassword",
    ),
]
holders = pytest.mark.parametrize(
    ("model", "data", "member"), HOLDERS, ids=[model.__name__ for model, *_ in HOLDERS]
)


@holders
def test_no_representation_shows_a_secret(
    model: type[models.Model],
    data: dict[str, Any],
    member: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """repr, str, formatting, logging and every dump of pydantic's keep the secret."""
    held = model.read(data)
    logging.getLogger("test").warning("holds %s %r", held, held)
    shown = [repr(held), str(held), f"{held}", f"{held!r}", repr(held.model_dump()), caplog.text]
    shown += [held.model_dump_json(), held.model_dump_json(by_alias=True)]
    shown += [repr(held.model_dump(mode="json")), repr(held.to_wire())]
    assert not [text for text in shown if SECRET in text]


@holders
def test_the_wire_gets_a_secret_only_on_request(
    model: type[models.Model], data: dict[str, Any], member: str
) -> None:
    """`to_wire` leaves the secret out and keeps the rest; `secrets=True` writes it."""
    held = model.from_wire(data)
    assert held.to_wire() == {name: value for name, value in data.items() if name != member}
    assert held.to_wire(secrets=True) == data


@holders
def test_no_error_shows_a_secret(
    model: type[models.Model], data: dict[str, Any], member: str
) -> None:
    """Mistakes beside a secret and in its place are reported without it, causes included."""
    wrong_kind = data | {member: [SECRET]}
    beside = data | {"unknown-member": SECRET}
    for document in (wrong_kind, beside):
        with pytest.raises(InvalidSpecError) as caught:
            model.read(document)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None
    with pytest.raises(ServiceError) as answered:
        model.from_wire(wrong_kind)
    assert SECRET not in "".join(traceback.format_exception(answered.value))
    assert answered.value.__context__ is None
    with pytest.raises(ValidationError) as constructed:
        model.model_validate(wrong_kind)
    assert SECRET not in str(constructed.value)


def test_a_key_in_the_place_of_its_holder_is_not_shown() -> None:
    """A key written where the credentials object belongs is described by its kind only."""
    share = {"accountName": "a", "azureFileUrl": "u", "relativeMountPath": "r"}
    with pytest.raises(InvalidSpecError, match="expected an object, found a string") as caught:
        models.AzureFileShareReference.read(share | {"credentials": SECRET})
    assert SECRET not in str(caught.value)


def test_the_holder_of_a_secret_stays_when_the_secret_is_left_out() -> None:
    """Credentials come back as an empty object, as the service answered them."""
    credentials = models.AzureStorageCredentialsInfo(account_key=SecretStr(SECRET))
    container = models.AzureBlobFileSystemReference(
        account_name="a", container_name="c", credentials=credentials, relative_mount_path="r"
    )
    assert container.to_wire()["credentials"] == {}


def test_a_pickle_keeps_the_secret() -> None:
    """A model sent to another process of ours is whole there, and still shows nothing."""
    held = models.AzureStorageCredentialsInfo(account_key=SecretStr(SECRET))
    copy = pickle.loads(pickle.dumps(held))  # noqa: S301  # our own bytes
    assert copy == held
    assert copy.to_wire(secrets=True) == {"accountKey": SECRET}
    assert SECRET not in repr(copy)
