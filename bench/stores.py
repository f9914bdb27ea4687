"""Storage services, each a process of its own, and the clients that drive them.

An adapter of the storage measurements is a pair of them; see `adapter`.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, Self

import processes

THREADS = 8
"""Operations on small objects at once."""

VOLUME = "bench"
DIRECTORY = "many"
"""Where the entries of listings are."""

KEY = base64.b64encode(bytes(64)).decode()
DEVELOPMENT = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)


class Store(Protocol):
    """A service.

    Arguments:
        account: name and key.
    """

    account: tuple[str, str]

    def start(self, root: Path, kind: str) -> str:
        """Start it on a directory; return the address of the account's `blob` or `file`."""

    def fill(self, client: "Client", count: int) -> None:
        """Put that many empty blobs or files into `DIRECTORY`, as uploads leave them."""

    def pids(self) -> list[int]: ...

    def end(self) -> None: ...


class Client(Protocol):
    """A client of one container or share."""

    def create(self) -> None: ...

    def up(self, source: Path, name: str, parallel: int) -> None: ...

    def down(self, name: str, target: Path, parallel: int) -> None: ...

    def up_many(self, source: Path) -> None:
        """Upload the files of a directory into `DIRECTORY`, `THREADS` at once."""

    def down_many(self, names: list[str], target: Path) -> None:
        """Download them into a directory, `THREADS` at once."""

    def names(self, **options: Any) -> int:
        """List `DIRECTORY`; how many names there are."""


class Process:
    """A service's process: what it says first tells where it is.

    Arguments:
        command: its arguments.
        says: a pattern whose first group is wanted of its output.
    """

    def __init__(self, command: list[str], says: str) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        text = ""
        while (found := re.search(says, text)) is None:
            line = self._process.stdout.readline()
            assert line, f"{command} said only {text!r}"
            text += line
        self.found = found[1]
        self.pids = [self._process.pid]

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Ours:
    """batchai-quickstart's storage alone."""

    account = ("bench", KEY)

    def start(self, root: Path, kind: str) -> str:
        self._root, self._kind = root, kind
        command = [sys.executable, "-m", "batchai_quickstart.storage", "--root", str(root)]
        command += ["--account", ":".join(self.account)]
        self._process = Process(command, r"(http://\S+?); Ctrl-C")
        return f"{self._process.found}/{kind}/{self.account[0]}"

    def fill(self, client: Client, count: int) -> None:
        from batchai_quickstart.storage import Kind, Store
        from batchai_quickstart.storage.properties import Properties

        self.end()
        store = Store(self._root / "storage")
        volume = store.create_volume(self.account[0], Kind(self._kind), VOLUME)
        # What an upload by the official client leaves behind; of a file in a share nothing.
        said = Properties(md5="1B2M2Y8AsgTpgAmY7PhCfg==") if self._kind == "blob" else Properties()
        (volume.path / DIRECTORY).mkdir(exist_ok=True)
        for number in range(count):
            name = f"{DIRECTORY}/{number:06}"
            path = volume.path / name
            path.touch()
            store.say(volume, name, path.stat(), said)
        store.close()
        self.start(self._root, self._kind)  # on the port it had

    def pids(self) -> list[int]:
        return self._process.pids

    def end(self) -> None:
        self._process.end()


class Azurite:
    """Microsoft's emulator, from the npm registry."""

    account = DEVELOPMENT

    def start(self, root: Path, kind: str) -> str:
        assert kind == "blob", "Azurite has no Files"
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        options += ["--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(root)]
        self._process = Process(["azurite-blob", *options], r"listens on (http://\S+)")
        return f"{self._process.found}/{self.account[0]}"

    def fill(self, client: "Azure | Sdk", count: int) -> None:
        sdk = Sdk("blob", client.endpoint, *self.account)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(sdk.put_empty, range(count)))

    def pids(self) -> list[int]:
        return processes.tree(self._process.pids)

    def end(self) -> None:
        self._process.end()


class Ceiling:
    """What a Python process under the same server can do; see `ceiling`."""

    account = ("bench", KEY)

    def start(self, root: Path, kind: str) -> str:
        command = [sys.executable, str(Path(__file__).with_name("ceiling.py")), str(root)]
        self._process = Process(command, r"(\d+)")
        self._url = f"http://127.0.0.1:{self._process.found}/{kind}/{self.account[0]}"
        return self._url

    def fill(self, client: Client, count: int) -> None:
        import urllib3

        url = f"{self._url}/{VOLUME}/{DIRECTORY}/?count={count}"
        assert urllib3.request("POST", url).status == 201

    def pids(self) -> list[int]:
        return self._process.pids

    def end(self) -> None:
        self._process.end()


class Azure:
    """Microsoft's own client, as its documentation uses it: azure-storage-blob or -file-share.

    Arguments:
        kind: `blob` or `file`.
        endpoint: address of the account.
        name, key: the account's.
    """

    def __init__(self, kind: str, endpoint: str, name: str, key: str) -> None:
        self.endpoint = endpoint
        self._is_blob = kind == "blob"
        credential = {"account_name": name, "account_key": key}
        if self._is_blob:
            from azure.storage.blob import ContainerClient

            self._volume = ContainerClient(endpoint, VOLUME, credential=credential)
        else:
            from azure.storage.fileshare import ShareClient

            self._volume = ShareClient(endpoint, VOLUME, credential=credential)

    def create(self) -> None:
        if self._is_blob:
            self._volume.create_container()
        else:
            self._volume.create_share()
            self._volume.create_directory(DIRECTORY)

    def up(self, source: Path, name: str, parallel: int) -> None:
        with source.open("rb") as file:
            options = {"length": source.stat().st_size, "max_concurrency": parallel}
            if self._is_blob:
                self._volume.upload_blob(name, file, overwrite=True, **options)
            else:
                self._volume.get_file_client(name).upload_file(file, **options)

    def down(self, name: str, target: Path, parallel: int) -> None:
        with target.open("wb") as file:
            self._get(name, max_concurrency=parallel).readinto(file)

    def up_many(self, source: Path) -> None:
        def put(path: Path) -> None:
            name = f"{DIRECTORY}/{path.name}"
            if self._is_blob:
                self._volume.upload_blob(name, path.read_bytes(), overwrite=True)
            else:
                self._volume.get_file_client(name).upload_file(path.read_bytes())

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(put, source.iterdir()))

    def down_many(self, names: list[str], target: Path) -> None:
        def get(name: str) -> None:
            (target / name).write_bytes(self._get(f"{DIRECTORY}/{name}").readall())

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(get, names))

    def names(self, **options: Any) -> int:
        if self._is_blob:
            found = self._volume.list_blobs(name_starts_with=f"{DIRECTORY}/", **options)
        else:
            found = self._volume.list_directories_and_files(DIRECTORY, **options)
        return sum(1 for _ in found)

    def _get(self, name: str, **options: Any) -> Any:
        if self._is_blob:
            return self._volume.download_blob(name, **options)
        return self._volume.get_file_client(name).download_file(**options)


class Sdk:
    """Our own: containers and shares of a `StorageAccount`.

    Arguments:
        kind: `blob` or `file`.
        endpoint: address of the account.
        name, key: the account's.
    """

    def __init__(self, kind: str, endpoint: str, name: str, key: str) -> None:
        from batchai_quickstart import StorageAccount

        account = StorageAccount.open(name, key=key, blob_endpoint=endpoint, file_endpoint=endpoint)
        self._is_blob = kind == "blob"
        self._volume = account.container(VOLUME) if self._is_blob else account.share(VOLUME)

    def create(self) -> None:
        self._volume.create()

    def up(self, source: Path, name: str, parallel: int) -> None:
        self._volume.upload(source, name, progress=False, max_workers=parallel)

    def down(self, name: str, target: Path, parallel: int) -> None:
        self._volume.download(name, target, progress=False, max_workers=parallel)

    def up_many(self, source: Path) -> None:
        self._volume.upload_batch(
            source, destination=DIRECTORY, progress=False, max_workers=THREADS
        )

    def down_many(self, names: list[str], target: Path) -> None:
        found = self._volume.download_batch(
            target, source=DIRECTORY, progress=False, max_workers=THREADS
        )
        assert len(found) == len(names), len(found)

    def names(self, **options: Any) -> int:
        return sum(1 for _ in self._volume.walk(DIRECTORY))

    def put_empty(self, number: int) -> None:
        self._volume.account.rest.send(
            "blob",
            "PUT",
            VOLUME,
            f"{DIRECTORY}/{number:06}",
            headers={"x-ms-blob-type": "BlockBlob"},
        )


class Served:
    """A service and a client of it, as an adapter.

    Arguments:
        kind: `blob` or `file`.
        store: the service.
        client: makes the client, of kind, address, account name and key.
    """

    def __init__(self, kind: str, store: Store, client: Callable[..., Client]) -> None:
        self._kind, self._store, self._make = kind, store, client

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="bench-store-"))
        endpoint = self._store.start(self._root, self._kind)
        self.client = self._make(self._kind, endpoint, *self._store.account)
        self.client.create()
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.end()
        shutil.rmtree(self._root)

    def fill(self, count: int) -> None:
        self._store.fill(self.client, count)

    def service(self) -> list[int]:
        return self._store.pids()


class Disk:
    """The same files copied from directory to directory, in pieces and one after the other."""

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="bench-disk-"))
        self._many = self._root / DIRECTORY
        self.client = self
        self._many.mkdir()
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._root)

    def create(self) -> None: ...

    def up(self, source: Path, name: str, parallel: int) -> None:
        _copy(source, self._root / name)

    def down(self, name: str, target: Path, parallel: int) -> None:
        _copy(self._root / name, target)

    def up_many(self, source: Path) -> None:
        for path in source.iterdir():
            (self._many / path.name).write_bytes(path.read_bytes())

    def down_many(self, names: list[str], target: Path) -> None:
        for name in names:
            (target / name).write_bytes((self._many / name).read_bytes())

    def names(self, **options: Any) -> int:
        with os.scandir(self._many) as entries:
            return len(sorted((entry.name, entry.stat().st_size) for entry in entries))

    def fill(self, count: int) -> None:
        for number in range(count):
            (self._many / f"{number:06}").touch()

    def service(self) -> list[int]:
        return []


def _copy(source: Path, target: Path) -> None:
    buffer = memoryview(bytearray(1 << 22))
    with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
        while count := reading.readinto(buffer):
            writing.write(buffer[:count])


def adapter(kind: str, name: str) -> Served | Disk:
    """What is measured under a name.

    Arguments:
        kind: `blob` or `file`.
        name: as in `plan`.
    """
    if name == "Disk":
        return Disk()
    store, client = {
        "ours": (Ours, Azure),
        "Azurite": (Azurite, Azure),
        "Ceiling": (Ceiling, Azure),
        "SDK": (Ours, Sdk),
        "Ceiling by SDK": (Ceiling, Sdk),
    }[name]
    return Served(kind, store(), client)
