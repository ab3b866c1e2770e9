"""The error of a dispatch says why its electrons failed, not only which.

Covalent 0.240 stores no error when electrons of a dispatch fail: the red box of the dispatch stays
empty, and ``result.error`` is a list of names that the client makes. Covalent shows and hands out
what stands in the dispatch's own error, if anything does: the reasons are put there.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from covalent_braket_plugin.covalent_compat.ui import record

__all__ = ["of_dispatch", "repair"]

MOST_ELECTRONS = 20
WHOLE = 3
"""Of so many all is told; of the others the beginning."""
MOST_LINES = 4
MOST_CHARS = 800

log = logging.getLogger(__name__)


def repair() -> None:
    """Add the reasons when this server notes that a dispatch failed."""
    from covalent_dispatcher._dal.result import Result

    original = Result._update_dispatch

    @functools.wraps(original)
    def with_reasons(self: Any, *args: Any, **values: Any) -> Any:
        if not args and str(values.get("status")) == "FAILED" and values.get("error") is None:
            try:
                text = _reasons(self.metadata.attrs["dispatch_id"])
                if text:
                    return original(self, **{**values, "error": text})
            except Exception:  # a nicety: the status must be noted, or the dispatch never ends
                log.warning("The reasons of a failed dispatch cannot be told", exc_info=True)
        return original(self, *args, **values)

    Result._update_dispatch = with_reasons


def _reasons(dispatch_id: str) -> str:
    """Say why, and make room for that: a redispatch may have no directory of its own yet."""
    file = record.lattice_asset(dispatch_id, "error")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    return of_dispatch(record.failures(dispatch_id))


def of_dispatch(failed: list[tuple[int, str, Callable[[], str]]]) -> str:
    """Say which electrons failed, and why: of the first ones all, of others in some lines each.

    Args:
        failed: Their numbers, names, and what says why.
    """
    if not failed:
        return ""
    told = [
        _one(node_id, name, why(), whole=number < WHOLE)
        for number, (node_id, name, why) in enumerate(failed[:MOST_ELECTRONS])
    ]
    more = len(failed) - len(told)
    rest = [f"... and {more} more"] if more else []
    return "\n".join(["The following tasks failed:", *told, *rest]) + "\n"


def _one(node_id: int, name: str, why: str, *, whole: bool) -> str:
    lines = why.splitlines() if whole else why[:MOST_CHARS].splitlines()[:MOST_LINES]
    return "\n".join([f"{node_id}: {name}", *(f"   {line}" for line in lines)])
