"""The words of the command lines that serve, and how a command ends."""

import argparse
import base64
import binascii
import sys
from collections.abc import Sequence
from pathlib import Path

from batchai_quickstart.errors import BatchAIError


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run the command a command line names.

    Arguments:
        parser: of the command line; sets `run`, which takes the options and returns the status.
        arguments: the words behind the program's name; those of the process by default.

    Returns:
        The exit status: 0, 1 for an error (told on stderr), 2 for a wrong command line, 130 when
        interrupted.
    """
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except BatchAIError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add `--root`."""
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="directory of the service's state (BATCHAI_ROOT, else the user's data directory)",
    )


def add_serving(parser: argparse.ArgumentParser) -> None:
    """Add what every command that serves takes."""
    add_root(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=_port, metavar="P", help="port to listen on (the last one, or any free one)"
    )
    parser.add_argument(
        "--fsync", action="store_true", help="answer an upload once it is on the disk"
    )


def add_storage(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add what storage alone takes beside that."""
    parser.add_argument(
        "--account",
        type=_account,
        action="append",
        metavar="NAME[:KEY]",
        help="a storage account to have, and its base64 key; may be repeated (mystorage)",
    )
    parser.add_argument(
        "--devstoreaccount1",
        action="store_true",
        help="have Azurite's account with its well-known key, at Azurite's addresses",
    )
    for kind, name, usual in (("blob", "Blob", "10000"), ("file", "Files", "10003")):
        parser.add_argument(
            f"--{kind}-port",
            type=_port,
            metavar="P",
            help=f"serve {name} at http://HOST:P/ACCOUNT, too ({usual} with --devstoreaccount1)",
        )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535 is needed; found {text!r}")
    return int(text)


def _account(text: str) -> tuple[str, str | None]:
    name, colon, key = text.partition(":")
    if not colon:
        return name, None
    try:
        if not base64.b64decode(key, validate=True):
            raise ValueError
    except (binascii.Error, ValueError):
        raise argparse.ArgumentTypeError(
            f"the key of {name!r} is not base64; `openssl rand -base64 48` makes one"
        ) from None
    return name, key
