"""The key pair of a cluster's admin user."""

import getpass
import os
import secrets
from pathlib import Path

from batchai_quickstart.errors import ConfigurationError

_KINDS = ("ssh-", "ecdsa-", "sk-")


def admin_user() -> str:
    """The name of a cluster's admin user where none is given: this user's, never root's."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without an account, as in containers
        return "azureuser"
    return "azureuser" if name == "root" else name


def public_key(given: str | os.PathLike[str] | None) -> str:
    """The public key to give to a cluster.

    Arguments:
        given: the key itself (`ssh-ed25519 AAAA...`) or the path of its file; None: the user's own
            (`~/.ssh/id_ed25519.pub`, `~/.ssh/id_rsa.pub`), else a pair made for this package in
            the user's data directory.

    Raises:
        ConfigurationError: `given` is neither a public key nor a file with one.
    """
    if isinstance(given, str) and given.startswith(_KINDS):
        return given.strip()
    if given is not None:
        return _read(Path(given).expanduser())
    for name in ("id_ed25519.pub", "id_rsa.pub"):
        path = Path.home() / ".ssh" / name
        if path.is_file():
            return _read(path)
    import platformdirs

    data = platformdirs.user_data_path("batchai-quickstart", appauthor=False)
    return own_pair(data / "ssh" / "id_ed25519")


def own_pair(private: Path) -> str:
    """Return the public key of the pair at `private`, making the pair if there is none.

    The private key is written with mode 0600 before the public one, each under a temporary name
    first: two programs that start at once end with one pair.
    """
    public = private.with_name(private.name + ".pub")
    if public.is_file() and private.is_file():
        return _read(public)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = private.with_name(f".{private.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(secret)
    try:
        # A link fails where a file is: the first program's key stays the key.
        os.link(temporary, private)
    except FileExistsError:
        loaded = serialization.load_ssh_private_key(private.read_bytes(), None)
        assert isinstance(loaded, Ed25519PrivateKey)
        key = loaded
    finally:
        temporary.unlink()
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    text = f"{line.decode()} batchai-quickstart"
    temporary.write_text(text + "\n", encoding="ascii")
    temporary.replace(public)
    return text


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the ssh public key {path}: {error.strerror}"
        ) from error
    if not text.startswith(_KINDS):
        raise ConfigurationError(
            f"{path} holds no ssh public key (one starts with ssh-ed25519, ssh-rsa or ecdsa-...); "
            "give the .pub file"
        )
    return text
