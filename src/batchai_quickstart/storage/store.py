"""Accounts, shares and containers on disk.

    ROOT/storage.db                      keys and properties, mode 0600
    ROOT/accounts/ACCOUNT/blob/NAME/     a container: one ordinary directory
    ROOT/accounts/ACCOUNT/file/NAME/     a share: one ordinary directory
    ROOT/staging/                        uploads that are not finished; emptied at every start

A finished upload is renamed from `staging` to its name, so a reader sees the old content or the
new, and what a crash leaves behind is gone after the next start. `commit.py` has the rules that
keep content and what is said of it together.

A crash of the process loses nothing that was answered. On the disk things are by the system's own
time, so a power failure may lose the last seconds, as with any program that writes files; a store
with `sync` has a change on the disk before it is answered: content, then the row that speaks of
it, then the name.
"""

import base64
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchai_quickstart.errors import InvalidRequestError, NotFoundError
from batchai_quickstart.storage.facts import Account, VolumeFacts
from batchai_quickstart.storage.mending import end_moves, mend
from batchai_quickstart.storage.properties import Properties, State
from batchai_quickstart.storage.settings import ServiceSettings
from batchai_quickstart.storage.sidecar import Sidecar
from batchai_quickstart.storage.volume import Kind, Volume

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_VOLUME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$(root|logs|web)")


class Store:
    """Everything storage keeps, below one directory.

    Not shared: one process serves a root. Methods are quick and may be called on an event loop,
    except `delete_volume` and `delete_account`, whose time grows with what they remove.

    Arguments:
        root: the directory; made when it is not there, for its owner alone.
        sync: whether a change is on the disk before it is answered.
    """

    def __init__(self, root: Path, *, sync: bool = False) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = root.resolve()
        self.sync = sync
        self._staging = self.root / "staging"
        self.remove_detached(self._staging)
        self._staging.mkdir(mode=0o700, exist_ok=True)
        self.sidecar = Sidecar(self.root / "storage.db", sync=sync)
        self._accounts = {
            name: Account(name, (one, two)) for name, one, two in self.sidecar.accounts()
        }
        self._volumes: dict[tuple[str, str, str], VolumeFacts] = {
            key: VolumeFacts.from_json(facts) for key, facts in self.sidecar.volumes()
        }
        self._settings = {
            (account, kind): ServiceSettings.from_json(settings)
            for account, kind, settings in self.sidecar.services()
        }
        self._named: dict[tuple[str, Kind, str], Volume] = {}
        self._discard_unknown()
        end_moves(self.sidecar, self._volume)
        mend(self.sidecar, self._volume)

    def close(self) -> None:
        """Close the sidecar; the store is of no use afterwards."""
        self.sidecar.close()

    # Accounts.

    def create_account(self, name: str, key: str | None = None) -> Account:
        """A new account with two fresh keys, or the one of that name.

        Arguments:
            name: the account's.
            key: its first key from now on, base64; None leaves the one it has.

        Raises:
            InvalidRequestError: the name is not 3 to 24 lower-case letters and digits.
        """
        if name in self._accounts:
            found = self._accounts[name]
            if key is not None and key != found.keys[0]:
                found = Account(name, (key, found.keys[1]))
                self.sidecar.add_account(name, *found.keys)
                self._accounts[name] = found
            return found
        if not _ACCOUNT.fullmatch(name):
            raise InvalidRequestError(
                f"{name!r} is not a valid storage account name: 3 to 24 characters, "
                "lower-case letters and digits only.",
                code="AccountNameInvalid",
            )
        one, two = (base64.b64encode(secrets.token_bytes(64)).decode() for _ in range(2))
        one = key or one
        for kind in Kind:
            (self.root / "accounts" / name / kind).mkdir(parents=True, exist_ok=True)
        self.sidecar.add_account(name, one, two)
        self._accounts[name] = Account(name, (one, two))
        return self._accounts[name]

    def account(self, name: str) -> Account:
        """The account of that name.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return self._accounts[name]
        except KeyError:
            raise NotFoundError(
                f"There is no storage account {name!r}.", code="StorageAccountNotFound"
            ) from None

    def accounts(self) -> tuple[Account, ...]:
        """Every account, by name."""
        return tuple(self._accounts[name] for name in sorted(self._accounts))

    def delete_account(self, name: str) -> None:
        """Remove an account with its shares and containers; none of that name is no error."""
        self.remove_detached(self.detach_account(name))

    def detach_account(self, name: str) -> Path:
        """Take an account away at once; its content waits at the path for removal."""
        self._accounts.pop(name, None)
        self._volumes = {key: facts for key, facts in self._volumes.items() if key[0] != name}
        for kind in Kind:
            self._settings.pop((name, str(kind)), None)
        self.sidecar.drop_account(name)
        return self._detach(self.root / "accounts" / name)

    # Services.

    def settings(self, account: str, kind: Kind) -> ServiceSettings:
        """What is set for one of the services of an account."""
        return self._settings.get((account, str(kind)), ServiceSettings())

    def set_settings(self, account: str, kind: Kind, settings: ServiceSettings) -> None:
        """Keep what is set for one of the services of an account."""
        self.sidecar.put_service(account, str(kind), settings.to_json())
        self._settings[account, str(kind)] = settings

    # Volumes.

    def create_volume(
        self,
        account: str,
        kind: Kind,
        name: str,
        *,
        metadata: Mapping[str, str] | None = None,
        quota: int = 5120,
    ) -> Volume:
        """A share or container, new or the one of that name.

        Raises:
            NotFoundError: there is no such account.
            InvalidRequestError: the name is not 3 to 63 lower-case letters, digits and single
                hyphens between them.
        """
        self.account(account)
        if not _VOLUME.fullmatch(name):
            raise InvalidRequestError(
                f"{name!r} is not a valid name of a share or container: 3 to 63 characters, "
                "lower-case letters, digits and single hyphens between them.",
                code="InvalidResourceName",
            )
        volume = self._volume(account, kind, name)
        key = (account, str(kind), name)
        if key not in self._volumes:
            volume.path.mkdir(parents=True, exist_ok=True)
            if self.sync:
                self._sync(volume.path.parent)
            now = time.time()
            self._keep(key, VolumeFacts(now, now, dict(metadata or {}), quota))
        return volume

    def volume(self, account: str, kind: Kind, name: str) -> Volume:
        """The share or container of that name.

        Raises:
            NotFoundError: there is none; the code is the wire's for its kind.
        """
        if (account, str(kind), name) not in self._volumes:
            noun, code = (
                ("container", "ContainerNotFound")
                if kind is Kind.BLOB
                else ("share", "ShareNotFound")
            )
            raise NotFoundError(
                f"There is no {noun} {name!r} in the storage account {account!r}.", code=code
            )
        return self._volume(account, kind, name)

    def volumes(self, account: str, kind: Kind) -> tuple[Volume, ...]:
        """The shares or the containers of an account, by name."""
        names = sorted(key[2] for key in self._volumes if key[:2] == (account, str(kind)))
        return tuple(self._volume(account, kind, name) for name in names)

    def delete_volume(self, account: str, kind: Kind, name: str) -> None:
        """Remove a share or container with its content; none of that name is no error."""
        self.remove_detached(self.detach_volume(account, kind, name))

    def detach_volume(self, account: str, kind: Kind, name: str) -> Path:
        """Take a volume away at once; its content waits at the path for removal."""
        key = (account, str(kind), name)
        self._volumes.pop(key, None)
        self.sidecar.drop_volume(key)
        return self._detach(self._volume(account, kind, name).path)

    def _detach(self, path: Path) -> Path:
        self._named.clear()  # what is gone is not to be remembered for ever
        away = self.staged()
        if path.exists():
            path.rename(away)
        return away

    def remove_detached(self, away: Path) -> None:
        """Remove what was detached; may run in a thread."""
        shutil.rmtree(away, ignore_errors=True)
        if away.exists():  # a job may take its own rights to a directory away
            for top, names, _, directory in os.fwalk(away):
                for name in names:
                    if not Path(top, name).is_symlink():
                        os.chmod(name, 0o700, dir_fd=directory)
            shutil.rmtree(away, ignore_errors=True)

    def facts(self, volume: Volume) -> VolumeFacts:
        """What is known of a volume beside its content."""
        return self._volumes[volume.account, str(volume.kind), volume.name]

    def facts_of(self, account: str, kind: Kind, name: str) -> VolumeFacts | None:
        """What is known of the volume of that name; None when there is none."""
        return self._volumes.get((account, str(kind), name))

    def change(self, volume: Volume, **changes: Any) -> VolumeFacts:
        """Set some of a volume's facts, by name; a new modification time comes with it."""
        old = self.facts(volume)
        new = replace(old, modified=max(time.time(), old.modified + 1e-6), **changes)
        self._keep((volume.account, str(volume.kind), volume.name), new)
        return new

    # Files of a volume.

    def said(self, volume: Volume, path: str, status: os.stat_result) -> Properties:
        """What clients said about a file."""
        return self.sidecar.get((volume.account, str(volume.kind), volume.name), path, status)

    def say(self, volume: Volume, path: str, status: os.stat_result, said: Properties) -> None:
        """Keep what a client said about a file."""
        self.sidecar.put((volume.account, str(volume.kind), volume.name), path, status, said)

    @contextmanager
    def changing(
        self, volume: Volume, path: str, after: State | None, said: Properties
    ) -> Iterator[int]:
        """Change a file in the block below, and what is said about it with it.

        An error undoes what was said; a crash is looked into at the next start, unless the number
        this gives was passed to `sidecar.settle`.

        Arguments:
            volume: the volume.
            path: of the file in it.
            after: what the file becomes; None when it goes.
            said: about the file as it will be.
        """
        key = (volume.account, str(volume.kind), volume.name)
        # A job may have changed it since.
        self.sidecar.refresh(key, path, lambda: volume.stat(volume.segments(path)))
        number = self.sidecar.begin(key, path, after, said)
        try:
            yield number
        except BaseException:
            self.sidecar.undo(number)
            raise

    def forget(self, volume: Volume, path: str) -> None:
        """Forget what was said about a file that is gone, and the lease on it."""
        self.set_lease(volume, path, None)
        self.sidecar.drop((volume.account, str(volume.kind), volume.name), path)

    def move(self, volume: Volume, source: str, target: str, *, replace_file: bool) -> None:
        """Give a file or directory another path; what was said of it and all below goes along.

        A crash at any moment leaves all of it at the one path or at the other: see `Volume.move`
        for the step on disk, and for what it raises.

        Arguments:
            volume: where both paths are.
            source: the path it has.
            target: the path it gets.
            replace_file: a file at the new path is replaced.
        """
        key = (volume.account, str(volume.kind), volume.name)
        old, new = volume.segments(source), volume.segments(target)
        status = volume.stat(old)
        if status is None:
            raise FileNotFoundError(errno.ENOENT, "not a file or directory", source)
        note = self.sidecar.begin_move(key, source, target, status.st_ino)
        moved = False
        try:
            volume.move(old, new, replace_file=replace_file)
            moved = source != target
        finally:
            self.sidecar.end_move(note, key, source, target, moved=moved)

    def lease(self, volume: Volume, path: str) -> dict[str, Any] | None:
        """The lease on something of a volume, or on the volume itself with an empty path."""
        return self.sidecar.lease((volume.account, str(volume.kind), volume.name), path)

    def set_lease(self, volume: Volume, path: str, lease: Mapping[str, Any] | None) -> None:
        """Keep or forget a lease."""
        key = (volume.account, str(volume.kind), volume.name)
        if lease is None:
            self.sidecar.drop_lease(key, path)
        else:
            self.sidecar.put_lease(key, path, lease)

    def said_of_page(
        self, volume: Volume, found: Iterable[tuple[str, os.stat_result]]
    ) -> dict[str, Properties]:
        """What clients said about the files of one page of a listing, given in order."""
        return self.sidecar.between((volume.account, str(volume.kind), volume.name), found)

    def said_of(self, volume: Volume, found: Mapping[str, os.stat_result]) -> dict[str, Properties]:
        """What clients said about some entries of one directory, whose statuses are given."""
        return self.sidecar.of((volume.account, str(volume.kind), volume.name), found)

    def permission(self, volume: Volume, key: str) -> str | None:
        """The permission that a share keeps under a key; None when it keeps none."""
        return self.sidecar.permission((volume.account, str(volume.kind), volume.name), key)

    def keep_permission(self, volume: Volume, key: str, text: str) -> None:
        """Keep a permission under its key."""
        name = (volume.account, str(volume.kind), volume.name)
        self.sidecar.put_permission(name, key, text)

    def tagged(
        self, account: str, volume: str, floor: tuple[str, str]
    ) -> Iterator[tuple[Volume, str]]:
        """The blobs of an account, or of one container of it, that have tags: see `Sidecar`."""
        for (_, _, name), path in self.sidecar.tagged(account, volume, floor):
            yield self._volume(account, Kind.BLOB, name), path

    def staged(self) -> Path:
        """A fresh name in the staging area, which no client and no job can see."""
        return self._staging / secrets.token_hex(12)

    def create_staged(self) -> tuple[int, str]:
        """A new file in the staging area: descriptor and path."""
        path = f"{self._staging}/{secrets.token_hex(12)}"
        # A volume is mounted with mode 0777 for its files, so scripts in it can be executed:
        # uploads keep that, less what the process's umask takes away.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(path, flags, 0o777), path

    def _volume(self, account: str, kind: Kind, name: str) -> Volume:
        # Every request asks a few times, and to put a path together costs more than a system call.
        key = (account, kind, name)
        if key not in self._named:
            path = self.root / "accounts" / account / kind / name
            self._named[key] = Volume(account, kind, name, path)
        return self._named[key]

    def _sync(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _keep(self, key: tuple[str, str, str], facts: VolumeFacts) -> None:
        self.sidecar.put_volume(key, facts.to_json())
        self._volumes[key] = facts

    def _discard_unknown(self) -> None:
        """Remove directories nothing is known of: their removal was cut off by a crash."""
        for account in (self.root / "accounts").glob("*"):
            kept = [key for key in self._volumes if key[0] == account.name]
            if account.name not in self._accounts:
                self.remove_detached(self._detach(account))
                continue
            for volume in account.glob("*/*"):
                if (account.name, volume.parent.name, volume.name) not in kept:
                    self.remove_detached(self._detach(volume))
        for key in self._volumes:  # a power failure may keep the row and lose the directory
            (self.root / "accounts" / Path(*key)).mkdir(parents=True, exist_ok=True)
