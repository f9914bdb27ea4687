"""`python -m batchai_quickstart.storage`: storage without jobs."""

import argparse
from collections.abc import Sequence

from batchai_quickstart import options
from batchai_quickstart.storage import alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `options.run` for the exit status.

    Arguments:
        arguments: the words behind the program's name; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m batchai_quickstart.storage",
        description="Azure Blob and Files over ordinary directories, until Ctrl-C.",
    )
    options.add_serving(parser)
    options.add_storage(parser)
    parser.set_defaults(run=alone.run)
    return options.run(parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
