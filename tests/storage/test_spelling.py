"""Names of metadata keep their capitals, as the process that people start serves them."""

from pathlib import Path

from azure.storage.blob import BlobServiceClient
from azure.storage.fileshare import ShareServiceClient

from tests.alone import storage_alone

WRITTEN = {"Owner": "Me", "camelCase": "1", "lower_": "2"}


def test_metadata_keep_their_capitals(tmp_path: Path) -> None:
    """What carries metadata tells them by the names they were given, by header and in listings."""
    with storage_alone(tmp_path, "--account", "mystorage") as alone:
        text = alone.connection_string("mystorage")
        with BlobServiceClient.from_connection_string(text) as blobs:
            container = blobs.create_container("ccc", WRITTEN)
            blob = container.upload_blob("b", b"", metadata=WRITTEN)
            assert container.get_container_properties().metadata == WRITTEN
            assert blob.get_blob_properties().metadata == WRITTEN
            assert blob.download_blob().properties.metadata == WRITTEN
            assert next(iter(container.list_blobs(include="metadata"))).metadata == WRITTEN
            assert next(iter(blobs.list_containers(include_metadata=True))).metadata == WRITTEN
            blob.set_blob_metadata({"OWNER": "you"})
            assert blob.get_blob_properties().metadata == {"OWNER": "you"}
        with ShareServiceClient.from_connection_string(text) as shares:
            share = shares.create_share("sss", metadata=WRITTEN)
            directory = share.create_directory("d", metadata=WRITTEN)
            file = directory.upload_file("f", b"", metadata=WRITTEN)
            assert share.get_share_properties().metadata == WRITTEN
            assert directory.get_directory_properties().metadata == WRITTEN
            assert file.get_file_properties().metadata == WRITTEN


def test_a_name_in_two_spellings_is_one(tmp_path: Path) -> None:
    """Names are not told apart by capitals: values of both spellings are of one name."""
    with storage_alone(tmp_path, "--account", "mystorage") as alone:
        text = alone.connection_string("mystorage")
        with BlobServiceClient.from_connection_string(text) as blobs:
            container = blobs.create_container("ccc", {"Owner": "me", "OWNER": "you"})
            found = container.get_container_properties().metadata
    assert {name.lower() for name in found} == {"owner"}
