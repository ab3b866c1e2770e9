"""For code inside an electron: tell those who watch how far it is.

Imports where the job runs, without Covalent, and anywhere else.
"""

from __future__ import annotations

import json
import sys
import time

__all__ = ["update_status"]

MAX_CHARACTERS = 500


def update_status(text: str) -> None:
    """Say in a few words what the electron does now, such as ``"optimizing, step 3 of 10"``.

    It is a line of the electron's stdout, which ``covalent-braket watch`` and the live page of
    the dispatch show as the electron's status. Words beyond 500 characters are cut off.
    """
    words = json.dumps(str(text)[:MAX_CHARACTERS])
    sys.stdout.write(f"Status - timestamp={time.time():.3f}; {words}\n")
    sys.stdout.flush()
