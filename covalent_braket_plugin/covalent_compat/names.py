"""Names that Covalent knows and does not tell: the workflow's, and what cannot be pickled.

It may only ever make things nicer, never fail an electron.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from covalent_braket_plugin.covalent_compat.release import checked_release

__all__ = ["lattice_name", "name_what_cannot_be_pickled"]


@functools.lru_cache(maxsize=1024)
def lattice_name(dispatch_id: str) -> str:
    """Look up a workflow's name, which Covalent does not hand to executors; empty if unknown.

    Reads the server's database: call it in a thread.
    """
    if not checked_release():
        return ""
    try:
        from covalent_dispatcher._dal.result import get_result_object

        lattice = get_result_object(dispatch_id, bare=True, lattice_keys=["name"]).lattice
        return str(lattice.metadata.attrs.get("name") or "")
    except Exception:  # no server, another schema, a dispatch that Covalent does not know
        return ""


def _add(error: Exception, text: str) -> None:
    """Make an error say more, where its message is shown alone too."""
    if error.args and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{text}", *error.args[1:])
    else:
        error.add_note(text)


def name_what_cannot_be_pickled() -> None:
    """Make Covalent say which function or argument cannot be pickled.

    Covalent pickles on the user's side, before any executor is asked, and lets cloudpickle's
    error through as it is ("cannot pickle '_thread.lock' object"), which names nothing of the
    user's. The same error comes, and goes on to name the object and the part of it.
    """
    if not checked_release():
        return
    from covalent._workflow.transportable_object import TransportableObject

    original = TransportableObject.__init__
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def with_a_note(self: Any, obj: Any) -> None:
        try:
            original(self, obj)
        except Exception as error:
            from covalent_braket_plugin import payload

            with contextlib.suppress(Exception):  # the note must not hide what it explains
                _add(error, payload.why_unpicklable(obj, error))
            raise

    TransportableObject.__init__ = with_a_note  # type: ignore[method-assign]
