"""The Azure CLI's verbs: which work, which the service refuses by name, which the CLI breaks."""

import os
import re
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from tests.alone import Alone
from tests.interop.conftest import ACCOUNT, program

WORKS = ""
NOT_DONE = "NotImplemented"
SILENT = "Not Implemented"
"""Refused by the service by name, of which the CLI tells the status alone."""
ELSEWHERE = "az login"
"""Asked of Azure Resource Manager at Azure, never of storage."""
NOT_RUN = ("blob sync",)
"""The CLI fetches AzCopy from the network for it, and lets that do the work."""

CONTAINER = (
    ("container create -n ccc --metadata a=1", WORKS),
    ("container exists -n ccc", WORKS),
    ("container list --include-metadata", WORKS),
    ("container list --prefix ccc --num-results 1", WORKS),
    ("container show -n ccc", WORKS),
    ("container metadata update -n ccc --metadata b=2", WORKS),
    ("container metadata show -n ccc", WORKS),
    ("container set-permission -n ccc --public-access blob", WORKS),
    ("container show-permission -n ccc", WORKS),
    (
        "container policy create -c ccc -n readers --permissions rl --expiry 2099-01-01T00:00:00Z",
        WORKS,
    ),
    ("container policy list -c ccc", WORKS),
    ("container policy show -c ccc -n readers", WORKS),
    ("container policy update -c ccc -n readers --permissions r", WORKS),
    ("container generate-sas -n ccc --policy-name readers", WORKS),
    ("container generate-sas -n ccc --permissions rl --expiry 2099-01-01", WORKS),
    ("container policy delete -c ccc -n readers", WORKS),
    ("container lease acquire -c ccc --lease-duration 15 --proposed-lease-id {id}", WORKS),
    ("container lease renew -c ccc --lease-id {id}", WORKS),
    ("container lease change -c ccc --lease-id {id} --proposed-lease-id {other}", WORKS),
    ("container lease release -c ccc --lease-id {other}", WORKS),
    ("container lease acquire -c ccc --lease-duration -1", WORKS),
    ("container delete -n ccc", "LeaseIdMissing"),
    ("container lease break -c ccc", WORKS),
    ("container restore -n ccc --deleted-version x", NOT_DONE),
    ("container delete -n ccc", WORKS),
    ("container immutability-policy show --account-name mystorage -c ccc", ELSEWHERE),
    ("container immutability-policy create --account-name mystorage -c ccc --period 1", ELSEWHERE),
    (
        "container immutability-policy delete --account-name mystorage -c ccc --if-match 1",
        ELSEWHERE,
    ),
    (
        "container immutability-policy extend --account-name mystorage -c ccc --if-match 1",
        ELSEWHERE,
    ),
    ("container immutability-policy lock --account-name mystorage -c ccc --if-match 1", ELSEWHERE),
    ("container legal-hold show --account-name mystorage -c ccc", ELSEWHERE),
    ("container legal-hold set --account-name mystorage -c ccc --tags one", ELSEWHERE),
    ("container legal-hold clear --account-name mystorage -c ccc --tags one", ELSEWHERE),
)

BLOB = (
    ("container create -n bbb", WORKS),
    ("blob upload -c bbb -f {tree}/a.txt -n a.txt --content-type text/x --tags x=1", WORKS),
    ("blob upload -c bbb -f {tree}/a.txt -n a.txt", "BlobAlreadyExists"),
    ("blob upload -c bbb -f {tree}/a.txt -n a.txt --overwrite --metadata k=v", WORKS),
    ("blob upload -c bbb -f {tree}/big.bin -n big.bin --max-connections 4", WORKS),
    ("blob upload -c bbb -f {tree}/a.txt -n log.txt --type append", WORKS),
    ("blob upload -c bbb -f {tree}/page.bin -n page.bin --type page", NOT_DONE),
    ("blob upload-batch -d bbb/batch -s {tree}", WORKS),
    ("blob list -c bbb --include mt", WORKS),
    ("blob list -c bbb --prefix batch/ --delimiter / --num-results 2 --show-next-marker", WORKS),
    ("blob exists -c bbb -n a.txt", WORKS),
    ("blob show -c bbb -n a.txt", WORKS),
    ("blob update -c bbb -n a.txt --content-type text/plain --content-cache no-cache", WORKS),
    ("blob metadata update -c bbb -n a.txt --metadata k=w", WORKS),
    ("blob metadata show -c bbb -n a.txt", WORKS),
    ("blob url -c bbb -n a.txt", WORKS),
    ("blob generate-sas -c bbb -n a.txt --permissions r --expiry 2099-01-01 --full-uri", WORKS),
    ("blob download -c bbb -n big.bin -f {out}/big.bin", WORKS),
    ("blob download -c bbb -n a.txt -f {out}/part --start-range 1 --end-range 2", WORKS),
    ("blob download-batch -s bbb -d {out} --pattern batch/*", WORKS),
    ("blob copy start -c bbb -b copy.txt --source-container bbb --source-blob a.txt", WORKS),
    ("container create -n two", WORKS),
    ("blob copy start-batch --destination-container two --source-container bbb", WORKS),
    ("container delete -n two", WORKS),
    ("blob copy cancel -c bbb -b copy.txt --copy-id {id}", "NoPendingCopyOperation"),
    ("blob lease acquire -c bbb -b a.txt --lease-duration 15 --proposed-lease-id {id}", WORKS),
    ("blob lease renew -c bbb -b a.txt --lease-id {id}", WORKS),
    ("blob lease change -c bbb -b a.txt --lease-id {id} --proposed-lease-id {other}", WORKS),
    ("blob metadata update -c bbb -n a.txt --metadata k=x", "LeaseIdMissing"),
    ("blob metadata update -c bbb -n a.txt --metadata k=x --lease-id {other}", WORKS),
    ("blob lease release -c bbb -b a.txt --lease-id {other}", WORKS),
    ("blob lease acquire -c bbb -b a.txt --lease-duration -1", WORKS),
    ("blob lease break -c bbb -b a.txt", WORKS),
    ("blob snapshot -c bbb -n a.txt", NOT_DONE),
    ("blob set-tier -c bbb -n a.txt --tier Cool", WORKS),
    ("blob undelete -c bbb -n a.txt", NOT_DONE),
    ("blob set-legal-hold -c bbb -n a.txt --legal-hold true", SILENT),
    ("blob immutability-policy delete -c bbb -n a.txt", SILENT),
    ("blob immutability-policy set -c bbb -n a.txt --expiry-time 2099-01-01T00:00Z", SILENT),
    (
        "blob incremental-copy start --destination-container b --destination-blob b --source-uri x",
        ELSEWHERE,
    ),
    ("blob incremental-copy cancel -c bbb -n a.txt --copy-id {id}", "NoPendingCopyOperation"),
    ("blob restore --account-name mystorage --time-to-restore 2020-01-01T00:00Z", ELSEWHERE),
    ('blob query -c bbb -n a.txt --query-expression "SELECT * FROM BlobStorage"', NOT_DONE),
    ("blob rewrite -c bbb -n b.txt --source-uri {source}", WORKS),
    ("blob service-properties show", WORKS),
    ("blob service-properties update --static-website false", WORKS),
    ("blob service-properties update --static-website true", NOT_DONE),
    ("blob service-properties delete-policy show", WORKS),
    ("blob service-properties delete-policy update --enable true --days-retained 1", NOT_DONE),
    ("blob delete -c bbb -n copy.txt", WORKS),
    ("blob delete -c bbb -n copy.txt", "BlobNotFound"),
    ("blob delete-batch -s bbb --pattern batch/*", WORKS),
    ("container delete -n bbb", WORKS),
)

SHARE = (
    ("share create -n sss --metadata a=1 --quota 10", WORKS),
    ("share exists -n sss", WORKS),
    ("share list --include-metadata", WORKS),
    ("share show -n sss", WORKS),
    ("share update -n sss --quota 20", WORKS),
    ("share metadata update -n sss --metadata b=2", WORKS),
    ("share metadata show -n sss", WORKS),
    ("share stats -n sss", WORKS),
    ("share url -n sss", WORKS),
    ("share policy create -s sss -n readers --permissions rl --expiry 2099-01-01T00:00:00Z", WORKS),
    ("share policy list -s sss", WORKS),
    ("share policy show -s sss -n readers", WORKS),
    ("share policy update -s sss -n readers --permissions r", WORKS),
    ("share generate-sas -n sss --policy-name readers", WORKS),
    ("share policy delete -s sss -n readers", WORKS),
    ("share list-handle -n sss", WORKS),
    ("share close-handle -n sss --close-all", WORKS),
    ("share snapshot -n sss", NOT_DONE),
    ("share delete -n sss", WORKS),
)

DIRECTORY = (
    ("share create -n ddd", WORKS),
    ("directory create -s ddd -n one --metadata a=1", WORKS),
    ("directory create -s ddd -n one/two", WORKS),
    ("directory exists -s ddd -n one/two", WORKS),
    ("directory list -s ddd -n one", WORKS),
    ("directory show -s ddd -n one", WORKS),
    ("directory metadata update -s ddd -n one --metadata b=2", WORKS),
    ("directory metadata show -s ddd -n one", WORKS),
    ("directory delete -s ddd -n one", "DirectoryNotEmpty"),
    ("directory delete -s ddd -n one/two", WORKS),
    ("directory delete -s ddd -n three --fail-not-exist", "ResourceNotFound"),
    ("share delete -n ddd", WORKS),
)

FILE = (
    ("share create -n fff", WORKS),
    ("directory create -s fff -n sub", WORKS),
    ("file upload -s fff --source {tree}/a.txt --metadata k=v --content-type text/x", WORKS),
    ("file upload -s fff --source {tree}/big.bin -p sub/big.bin --max-connections 4", WORKS),
    ("file upload-batch -d fff --destination-path batch -s {tree}", WORKS),
    ("file list -s fff", WORKS),
    ("file list -s fff -p batch --exclude-dir", WORKS),
    ("file exists -s fff -p a.txt", WORKS),
    ("file show -s fff -p a.txt", WORKS),
    ("file update -s fff -p a.txt --content-type text/plain", WORKS),
    ("file metadata update -s fff -p a.txt --metadata k=w", WORKS),
    ("file metadata show -s fff -p a.txt", WORKS),
    ("file url -s fff -p a.txt", WORKS),
    ("file generate-sas -s fff -p a.txt --permissions r --expiry 2099-01-01", WORKS),
    ("file download -s fff -p sub/big.bin --dest {out}/sub.bin", WORKS),
    ("file download-batch -s fff -d {out} --pattern batch/*", WORKS),
    ("file copy start -s fff -p copy.txt --source-share fff --source-path a.txt", WORKS),
    ("share create -n two", WORKS),
    ("file copy start-batch --destination-share two --source-share fff", WORKS),
    ("share delete -n two", WORKS),
    ("file copy cancel -s fff -p copy.txt --copy-id {id}", "NoPendingCopyOperation"),
    ("file resize -s fff -p copy.txt --size 3", WORKS),
    ("file hard-link create -s fff -p hard.txt --target a.txt", NOT_DONE),
    ("file symbolic-link create -s fff -p soft.txt --target a.txt", NOT_DONE),
    ("file symbolic-link show -s fff -p a.txt", NOT_DONE),
    ("file delete -s fff -p copy.txt", WORKS),
    ("file delete -s fff -p copy.txt", "ResourceNotFound"),
    ("file delete-batch -s fff --pattern batch/*", WORKS),
    ("share delete -n fff", WORKS),
)

GROUPS = ("container", "blob", "share", "directory", "file")
TABLES = (CONTAINER, BLOB, SHARE, DIRECTORY, FILE)
_NAME = re.compile(r"^    ([a-z-]+) +[\[:]", re.MULTILINE)


def verb(line: str) -> tuple[str, str]:
    """Group and verb of a command: `blob lease`, `acquire`."""
    words = line.partition(" -")[0].split()
    return " ".join(words[:-1]), words[-1]


def _account_sas(key: str) -> str:
    return generate_account_sas(
        ACCOUNT,
        key,
        ResourceTypes(object=True),
        AccountSasPermissions(read=True),
        datetime.now(UTC) + timedelta(hours=1),
    )


@pytest.mark.parametrize("rows", TABLES, ids=GROUPS)
def test_verbs_do_what_the_table_says(
    rows: tuple[tuple[str, str], ...],
    alone: Alone,
    connection_string: str,
    account_key: str,
    tree: Path,
    tmp_path: Path,
) -> None:
    """Each command of a table, in order, succeeds or fails with the code beside it."""
    (tree / "page.bin").write_bytes(bytes(512))
    (tmp_path / "out").mkdir()
    values = {
        "tree": str(tree),
        "out": str(tmp_path / "out"),
        "id": "11111111-1111-1111-1111-111111111111",
        "other": "22222222-2222-2222-2222-222222222222",
        "source": f"{alone.value(ACCOUNT, 'Blob')}/bbb/a.txt?{_account_sas(account_key)}",
    }
    environment = {
        **os.environ,
        "AZURE_STORAGE_CONNECTION_STRING": connection_string,
        "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
        "AZURE_CORE_ONLY_SHOW_ERRORS": "1",
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
    }
    wrong = []
    for line, expected in rows:
        words = [word.format(**values) for word in shlex.split(line)]
        ended = subprocess.run(
            [program("az"), "storage", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if (ended.returncode == 0) != (expected == WORKS) or expected not in ended.stderr:
            wrong.append(f"{line}: {expected or 'works'}; found {ended.stderr[-400:]}")
    assert not wrong, "\n".join(wrong)
    for path in (tmp_path / "out").glob("*.bin"):
        assert path.read_bytes() == (tree / "big.bin").read_bytes()


def test_no_verb_is_left_out(tmp_path: Path) -> None:
    """The tables have a row for each verb of the five groups, but for what is not run."""
    environment = {**os.environ, "AZURE_CONFIG_DIR": str(tmp_path / "azure")}

    def listed(words: str) -> set[str]:
        command = [program("az"), "storage", *words.split(), "-h"]
        told = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        groups, _, commands = told.partition("\nCommands:")
        found = {f"{words} {name}" for name in _NAME.findall(commands)}
        for name in _NAME.findall(groups.partition("Subgroups:")[2]):
            found |= listed(f"{words} {name}")
        return found

    known = {" ".join(verb(line)) for rows in TABLES for line, _ in rows} | set(NOT_RUN)
    assert set().union(*(listed(group) for group in GROUPS)) == known
