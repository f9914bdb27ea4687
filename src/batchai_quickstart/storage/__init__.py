"""Blob and Files REST over ordinary directories; may be used alone."""

from batchai_quickstart.storage.addresses import account_in_host
from batchai_quickstart.storage.app import storage_app
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.facts import Account
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

__all__ = ["Account", "Changes", "Kind", "Store", "Volume", "account_in_host", "storage_app"]
