"""Nothing of this runs without Azurite."""

import os

# It comes from npm: `nox -s azurite` installs it and asks for this.
collect_ignore_glob = [] if os.environ.get("BATCHAI_AZURITE") else ["test_*.py"]
