"""HMAC under an account's keys: what Shared Key and shared access signatures have in common."""

import base64
import hashlib
import hmac

from batchai_quickstart.storage.facts import Account


def sign(key: str, text: str) -> str:
    """Base64 HMAC-SHA256 of a text under a base64 account key."""
    digest = hmac.digest(base64.b64decode(key), text.encode("utf-8", "replace"), hashlib.sha256)
    return base64.b64encode(digest).decode()


def signed_by(account: Account, text: str, signature: str) -> bool:
    """Whether one of the account's two keys made a signature, compared in constant time."""
    given = signature.encode("utf-8", "replace")
    # Both are always tried, so the time taken does not tell which key it was.
    first, second = (hmac.compare_digest(sign(key, text).encode(), given) for key in account.keys)
    return first or second
