"""Which account a caller has: its access key says so."""

from __future__ import annotations

import re

__all__ = ["account_of"]

_ACCOUNT = re.compile(r"\d{12}", re.A)
_ISSUED = re.compile(r"A[KS]IA[A-Z0-9]{16}", re.A)


def account_of(access_key: str, default: str) -> str:
    """Tell the account of an access key.

    Args:
        access_key: Its id. The twelve digits of an account stand for a key of that account.
        default: The account of all keys that neither say it nor were made here.
    """
    if _ACCOUNT.fullmatch(access_key):
        return access_key
    if not _ISSUED.fullmatch(access_key):
        return default
    from moto.iam.models import iam_backends

    # Keys of assumed roles and of users. A copy: other requests may add an account meanwhile.
    for account, partitions in list(iam_backends.items()):
        if any(access_key in backend.access_keys for backend in list(partitions.values())):
            return str(account)
    return default
