"""`python -m batchai_quickstart`."""

from batchai_quickstart.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
