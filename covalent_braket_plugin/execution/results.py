"""What devices answered: named values, a table of counts, a picture that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.history import Item, counts_frame
from covalent_braket_plugin.history.items import item

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Results"]


class Results(list[Item]):
    """What the devices of an execution answered, a list of named values.

    Names are those of the backends: ``SV1`` are its counts; ``SV1 expectation Z(0)`` is a value
    that the program asked for.

    Args:
        answers: What the electrons returned.
        failed: By backend, why there is no answer.

    Attributes:
        answers: What each backend answered: ``backend``, ``device`` (its ARN), ``quantum_task``
            (ARN), ``shots``, ``counts`` and ``values``.
        failed: By backend, why there is no answer.
    """

    def __init__(
        self, answers: Sequence[Mapping[str, Any]], failed: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(_items(answers))
        self.answers = list(answers)
        self.failed = dict(failed or {})

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By backend, how often each state was measured; the first bit is the leftmost."""
        return {each["backend"]: dict(each["counts"]) for each in self.answers if each["counts"]}

    def counts_dataframe(self, *, state: str = "*", min_count: int = 0) -> pd.DataFrame:
        """Make a table of all counts: ``backend, state, count, probability``.

        Args:
            state: Only states like this: ``?`` stands for any bit, ``*`` for any number of them.
            min_count: Only states that were measured so often on that backend.
        """
        import pandas as pd

        frames = [
            counts_frame(counts, state=state, min_count=min_count).assign(backend=name)
            for name, counts in self.counts.items()
        ]
        columns = ["backend", "state", "count", "probability"]
        if not frames:
            return pd.DataFrame(columns=columns)
        return pd.concat(frames, ignore_index=True)[columns]

    def plot(self, path: str | Path, *, title: str = "") -> None:
        """Draw how often each state was measured on each backend.

        Args:
            path: A ``.png`` or ``.svg`` file.
            title: Stands above.

        Raises:
            PlotError: There are no counts, or the file is to be of another kind.
            OSError: The file cannot be written.
        """
        from covalent_braket_plugin.execution import histogram

        histogram.plot(self.counts, Path(path), title=title)

    def terminal_plot(self, width: int = 80) -> str:
        """Draw the same as text.

        Args:
            width: Columns of the terminal.

        Raises:
            PlotError: There are no counts.
        """
        from covalent_braket_plugin.execution import histogram

        return histogram.terminal_plot(self.counts, width=width)


def _items(answers: Sequence[Mapping[str, Any]]) -> list[Item]:
    found = []
    for each in answers:
        if each["counts"]:
            found.append(item(each["backend"], each["counts"]))
        found += [item(f"{each['backend']} {name}", value) for name, value in each["values"]]
    return found
