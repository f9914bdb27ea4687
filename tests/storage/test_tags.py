"""Index tags and access tiers of blobs."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, RehydratePriority, StandardBlobTier

from batchai_quickstart.storage.protocol import StorageError
from batchai_quickstart.storage.tags import expression
from tests.storage.conftest import Service, code


def test_tags_are_kept_and_listed(container: ContainerClient) -> None:
    """Tags come with an upload or later, change no version, and are in listings that ask."""
    blob = container.upload_blob("a", b"1", tags={"set": "train", "epoch": "1"})
    before = blob.get_blob_properties()
    assert before.tag_count == 2
    blob.set_blob_tags({"set": "test & more".replace("&", "+")})
    assert blob.get_blob_tags() == {"set": "test + more"}
    assert blob.get_blob_properties().etag == before.etag
    (listed,) = container.list_blobs(include=["tags"])
    assert listed.tags == {"set": "test + more"}
    blob.set_blob_tags()
    assert blob.get_blob_tags() == {}
    blob.upload_blob(b"2", overwrite=True)
    assert blob.get_blob_properties().tag_count is None


@pytest.mark.parametrize(
    "tags",
    [{"a" * 129: "1"}, {"a": "1" * 257}, {"a!": "1"}, {"a": "<"}, {str(i): "" for i in range(11)}],
)
def test_what_is_no_tag_is_refused(container: ContainerClient, tags: dict[str, str]) -> None:
    """Names, values and numbers of tags have Azure's limits, by header and by document."""
    with pytest.raises(HttpResponseError) as refused:
        container.upload_blob("a", b"", tags=tags)
    assert code(refused) == "InvalidTag"
    blob = container.upload_blob("b", b"")
    with pytest.raises(HttpResponseError) as refused:
        blob.set_blob_tags(tags)
    assert code(refused) == "InvalidTag"


def test_blobs_are_found_by_tags(service: Service, container: ContainerClient) -> None:
    """An expression finds blobs in a container and in the account, page by page."""
    for epoch in range(5):
        tags = {"epoch": f"{epoch}", "run": str(container.container_name)}
        container.upload_blob(f"model.{epoch}.dnn", b"", tags=tags)
    found = container.find_blobs_by_tags("epoch >= '1' AND epoch < '4'", results_per_page=2)
    assert [each.name for each in found] == [f"model.{epoch}.dnn" for epoch in (1, 2, 3)]
    with service.blobs() as client:
        where = f"\"run\" = '{container.container_name}' AND @container = 'nowhere'"
        assert list(client.find_blobs_by_tags(where)) == []
        where = f"@container = '{container.container_name}' AND \"epoch\" = '2'"
        (one,) = client.find_blobs_by_tags(where)
    assert (one.name, one.container_name) == ("model.2.dnn", container.container_name)
    assert one.tags == {"epoch": "2", "run": container.container_name}
    container.delete_blob("model.1.dnn")
    assert [each.name for each in container.find_blobs_by_tags("epoch = '1'")] == []


def test_conditions_on_tags(container: ContainerClient) -> None:
    """A request with a condition on tags is done when they are so, and 412 otherwise."""
    blob = container.upload_blob("a", b"1", tags={"stage": "raw"})
    assert blob.download_blob(if_tags_match_condition="\"stage\" = 'raw'").readall() == b"1"
    for call in (blob.download_blob, blob.delete_blob, blob.get_blob_properties):
        with pytest.raises(HttpResponseError) as refused:
            call(if_tags_match_condition="\"stage\" = 'done' OR \"stage\" > 'sealed'")
        assert refused.value.status_code == 412


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = '1'", True),
        ("\"a\"='1' and b <> 'x'", True),
        ("a = '2' OR b = 'it''s'", True),
        ("a = '1' AND b = 'x' OR a = '2'", False),
        ("missing <> 'x'", False),
    ],
)
def test_expressions(text: str, expected: bool) -> None:
    """AND binds more than OR, quotes are doubled, and what a blob has not compares to nothing."""
    assert expression(text, searching=False)({"a": "1", "b": "it's"}) is expected


@pytest.mark.parametrize(
    "text", ["", "a", "a =", "a = 1", "a = '1' AND", "a = '1' b = '2'", "'a' = '1'", "(a = '1')"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """Anything else is refused with what an expression looks like."""
    with pytest.raises(StorageError, match="is no expression over tags"):
        expression(text, searching=True)


def test_tiers_are_kept_and_told(container: ContainerClient) -> None:
    """A blob's access tier is what was set last; Archive, which could not be read, is refused."""
    blob = container.upload_blob("a", b"1", standard_blob_tier=StandardBlobTier.COOL)
    assert blob.get_blob_properties().blob_tier == "Cool"
    blob.set_standard_blob_tier(StandardBlobTier.COLD, rehydrate_priority=RehydratePriority.HIGH)
    (listed,) = container.list_blobs()
    assert listed.blob_tier == "Cold"
    with pytest.raises(HttpResponseError) as refused:
        blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    assert code(refused) == "NotImplemented"
    blob.set_http_headers()
    assert blob.get_blob_properties().blob_tier == "Cold"
