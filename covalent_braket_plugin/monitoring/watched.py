"""Whether somebody looks at a dispatch now: what costs calls only they would see is asked for them.

Used on the event loop of the server only.
"""

from __future__ import annotations

import time
from collections import OrderedDict

__all__ = ["note", "watched"]

WITHIN_SECONDS = 15.0
REMEMBERED = 200
_asked_at: OrderedDict[str, float] = OrderedDict()


def note(dispatch_id: str) -> None:
    """Note that somebody asks about a dispatch."""
    _asked_at[dispatch_id] = time.monotonic()
    _asked_at.move_to_end(dispatch_id)
    if len(_asked_at) > REMEMBERED:
        _asked_at.popitem(last=False)


def watched(dispatch_id: str) -> bool:
    """Whether somebody asked about a dispatch within the last 15 seconds."""
    return time.monotonic() - _asked_at.get(dispatch_id, float("-inf")) < WITHIN_SECONDS
