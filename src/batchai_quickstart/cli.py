"""The command line: `quickstart`, `serve`, `status`, `stop`; thin, over the object API."""

import argparse
import logging
from collections.abc import Sequence
from functools import partial

from batchai_quickstart.options import add_root, add_serving, add_storage, run
from batchai_quickstart.roots import default_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; see `options.run` for the exit status.

    Arguments:
        arguments: the words behind the program's name; those of the process by default.
    """
    return run(command_parser(), arguments)


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
    add_root(quickstart)
    quickstart.add_argument(
        "--epochs", type=_positive, metavar="N", help="sweeps over the data (3; 40 with a GPU)"
    )
    quickstart.add_argument(
        "--keep", action="store_true", help="keep the resource group, its storage and its job"
    )
    quickstart.set_defaults(run=_quickstart)

    serve = commands.add_parser("serve", help="run the service in the foreground")
    add_serving(serve)
    serve.add_argument("--idle-exit", type=float, metavar="SECONDS", help="leave when idle so long")
    for hidden in ("--ready-fd", "--lifeline-fd"):
        serve.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    serve.add_argument("--temporary", action="store_true", help=argparse.SUPPRESS)
    storage = serve.add_argument_group("storage without jobs")
    storage.add_argument("--storage-only", action="store_true", help="serve Blob and Files alone")
    add_storage(storage)
    serve.set_defaults(run=partial(_serve, serve))

    status = commands.add_parser("status", help="say whether a service runs and what it does")
    add_root(status)
    status.set_defaults(run=_status)

    stop = commands.add_parser("stop", help="end the service; running jobs go on")
    add_root(stop)
    stop.set_defaults(run=_stop)
    return parser


class _Version(argparse.Action):
    """Looks the version up when it is asked for, and not for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import batchai_quickstart

        print(batchai_quickstart.__version__)
        parser.exit()


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed; found {text!r}")
    return int(text)


def _quickstart(options: argparse.Namespace) -> int:
    from batchai_quickstart.quickstart import quickstart

    quickstart(root=options.root, epochs=options.epochs, keep=options.keep)
    return 0


def _serve(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.storage_only:
        if options.idle_exit is not None:
            parser.error("--idle-exit is for a service with jobs, not for --storage-only")
        from batchai_quickstart.storage import alone

        return alone.run(options)
    ports = (options.blob_port, options.file_port)
    if options.account or options.devstoreaccount1 or ports != (None, None):
        parser.error(
            "--account, --devstoreaccount1, --blob-port and --file-port are for --storage-only"
        )
    from batchai_quickstart import local

    local.check_platform()
    from batchai_quickstart.service.serve import serve

    root = (options.root or default_root()).resolve()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    serve(
        root,
        host=options.host,
        port=options.port,
        sync=options.fsync,
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
        print(f"No service runs on {(options.root or default_root()).resolve()}.")
        return 3
    for name, value in local.status(info).items():
        print(f"{name:16} {', '.join(value) or '-' if isinstance(value, list) else value}")
    return 0


def _stop(options: argparse.Namespace) -> int:
    from batchai_quickstart import local

    info = local.find(options.root)
    if info is None:
        print(f"No service runs on {(options.root or default_root()).resolve()}.")
        return 3
    running = local.status(info)["running"]
    local.stop(info)
    print(f"The service on {info.root} (pid {info.pid}) has ended.")
    if running:
        print(f"{len(running)} running job(s) go on; the next service finds them again.")
    return 0
