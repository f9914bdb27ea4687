"""The admin user's key pair."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batchai_quickstart import ConfigurationError
from batchai_quickstart.client import sshkey


def test_key_is_taken_as_text_or_file(tmp_path: Path) -> None:
    """A key is given as itself or as the path of its file."""
    path = tmp_path / "k.pub"
    path.write_text("ssh-rsa AAAA x\n")
    assert sshkey.public_key(" ssh-rsa AAAA x".strip()) == "ssh-rsa AAAA x"
    assert sshkey.public_key(path) == sshkey.public_key(str(path)) == "ssh-rsa AAAA x"


def test_private_key_is_not_sent(tmp_path: Path) -> None:
    """The path of a private key is refused, not read out to the service."""
    path = tmp_path / "id_rsa"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    with pytest.raises(ConfigurationError, match=r"give the \.pub file"):
        sshkey.public_key(path)


def test_own_key_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own key is used where there is one, else a pair is made and kept."""
    monkeypatch.setenv("HOME", str(tmp_path))
    made = sshkey.public_key(None)
    assert made.startswith("ssh-ed25519 ")
    assert sshkey.public_key(None) == made
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa.pub").write_text("ssh-rsa MINE")
    assert sshkey.public_key(None) == "ssh-rsa MINE"


def test_pair_belongs_together_and_is_private(tmp_path: Path) -> None:
    """ssh-keygen reads the private key, gets the same public key, and others cannot read it."""
    private = tmp_path / "ssh/id"
    public = sshkey.own_pair(private)
    assert private.stat().st_mode & 0o077 == 0
    try:
        command = ["ssh-keygen", "-y", "-f", str(private)]
        derived = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        pytest.skip("no ssh-keygen here")
    assert derived.split()[:2] == public.split()[:2]


def test_programs_that_start_at_once_end_with_one_pair(tmp_path: Path) -> None:
    """However many ask at once, all get the same key."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: sshkey.own_pair(tmp_path / "id"), range(16)))
    assert len(keys) == 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["id", "id.pub"]


def test_admin_is_never_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is named after the user, but not root."""
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    assert sshkey.admin_user() == "azureuser"
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert sshkey.admin_user() == "ada"
