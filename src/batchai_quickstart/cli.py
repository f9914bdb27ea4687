"""The command line: `quickstart`, `serve`, `status`, `stop`; thin, over the object API."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from batchai_quickstart.errors import BatchAIError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Arguments:
        arguments: the words behind the program's name; those of the process by default.

    Returns:
        The exit status: 0, 1 for an error (told on stderr), 2 for a wrong command line, 130 when
        interrupted.
    """
    options = command_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BatchAIError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def command_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m batchai_quickstart",
        description="Azure Batch AI on your own machine: its SDK and the service behind it.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    quickstart = commands.add_parser(
        "quickstart", help="train the Batch AI quickstart's network on MNIST, start to end"
    )
    _root_option(quickstart)
    quickstart.add_argument(
        "--epochs", type=_positive, metavar="N", help="sweeps over the data (3; 40 with a GPU)"
    )
    quickstart.add_argument(
        "--keep", action="store_true", help="keep the resource group, its storage and its job"
    )
    quickstart.set_defaults(run=_quickstart)

    serve = commands.add_parser("serve", help="run the service in the foreground")
    _root_option(serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=_port, metavar="P", help="port to listen on (any free one)")
    serve.add_argument("--idle-exit", type=float, metavar="SECONDS", help="leave when idle so long")
    for hidden in ("--ready-fd", "--lifeline-fd"):
        serve.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    serve.add_argument("--temporary", action="store_true", help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)

    status = commands.add_parser("status", help="say whether a service runs and what it does")
    _root_option(status)
    status.set_defaults(run=_status)

    stop = commands.add_parser("stop", help="end the service; running jobs go on")
    _root_option(stop)
    stop.set_defaults(run=_stop)
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for, and not for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import batchai_quickstart

        print(batchai_quickstart.__version__)
        parser.exit()


def _root_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="directory of the service's state (BATCHAI_ROOT, else the user's data directory)",
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed; found {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port from 0 to 65535 is needed; found {text!r}")
    return int(text)


def _quickstart(options: argparse.Namespace) -> int:
    from batchai_quickstart.quickstart import quickstart

    quickstart(root=options.root, epochs=options.epochs, keep=options.keep)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from batchai_quickstart import local

    local.check_platform()
    from batchai_quickstart.service.serve import serve

    root = (options.root or local.default_root()).resolve()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    serve(
        root,
        host=options.host,
        port=options.port,
        idle_exit=options.idle_exit,
        ready_fd=options.ready_fd,
        lifeline_fd=options.lifeline_fd,
        temporary=options.temporary,
    )
    return 0


def _status(options: argparse.Namespace) -> int:
    from batchai_quickstart import local

    info = local.find(options.root)
    if info is None:
        print(f"No service runs on {(options.root or local.default_root()).resolve()}.")
        return 3
    for name, value in local.status(info).items():
        print(f"{name:16} {', '.join(value) or '-' if isinstance(value, list) else value}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from batchai_quickstart import local

    info = local.find(options.root)
    if info is None:
        print(f"No service runs on {(options.root or local.default_root()).resolve()}.")
        return 3
    running = local.status(info)["running"]
    local.stop(info)
    print(f"The service on {info.root} (pid {info.pid}) has ended.")
    if running:
        print(f"{len(running)} running job(s) go on; the next service finds them again.")
    return 0
