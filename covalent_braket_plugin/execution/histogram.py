"""Pictures that compare devices: how often each of them measured each state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import PlotError
from covalent_braket_plugin.monitoring.plots import as_plain_text, check_suffix, written

__all__ = ["MOST_STATES", "plot", "terminal_plot"]

MOST_STATES = 32
"""So many states fit into one picture: those that were measured most."""
WIDTH_INCHES = 8.0
HEIGHT_INCHES = 4.0
TERMINAL_ROWS = 18
GROUP = 0.8
"""Share of a state's place that its bars take."""

Counts = Mapping[str, Mapping[str, int]]


def plot(counts: Counts, path: Path, *, title: str = "") -> None:
    """Draw the share of each state, the backends side by side.

    Args:
        counts: By backend, how often each state was measured.
        path: A ``.png`` or ``.svg`` file.
        title: Stands above.

    Raises:
        PlotError: There is nothing to draw, or the file is to be of another kind.
        OSError: The file cannot be written.
    """
    kind = check_suffix(path)
    states, shares, left_out = _shares(counts)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        wide = GROUP / len(shares)
        for number, (name, values) in enumerate(shares.items()):
            shift = (number - (len(shares) - 1) / 2) * wide
            at = [place + shift for place in range(len(states))]
            axes.bar(at, values, wide, label=name)
        axes.set_xticks(range(len(states)), states, rotation=90 if len(states) > 8 else 0)
        axes.set_xlabel("state, the first bit leftmost" + _words(left_out))
        axes.set_ylabel("share of the shots")
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper right", ncols=len(shares), frameon=False)
        if title:
            figure.suptitle(title, x=0.02, ha="left")

    path.write_bytes(written(draw, kind, (WIDTH_INCHES, HEIGHT_INCHES)))


def terminal_plot(counts: Counts, *, width: int = 80) -> str:
    """Draw the same as plain text.

    Args:
        counts: By backend, how often each state was measured.
        width: Columns of the terminal.

    Raises:
        PlotError: There is nothing to draw.
    """
    import plotext

    states, shares, left_out = _shares(counts)
    labels = [f"{state} {name}" for state in states for name in shares]
    values = [each[place] for place in range(len(states)) for each in shares.values()]

    def draw() -> None:
        plotext.simple_bar(labels, values, width=width, title="share of the shots")

    return as_plain_text(draw) + (f"\n({_words(left_out).strip(', ')})" if left_out else "")


def _words(left_out: int) -> str:
    return f", {left_out} rarer states left out" if left_out else ""


def _shares(counts: Counts) -> tuple[list[str], dict[str, list[float]], int]:
    """Choose the states, in order, and tell each backend's shares and how many are left out.

    Raises:
        PlotError: There are none.
    """
    measured = {name: each for name, each in counts.items() if sum(each.values())}
    if not measured:
        raise PlotError("There is nothing to draw: no backend has counts.")
    known = {state for each in measured.values() for state in each}
    share = {
        state: max(each.get(state, 0) / sum(each.values()) for each in measured.values())
        for state in known
    }
    chosen = sorted(sorted(known, key=lambda state: (-share[state], state))[:MOST_STATES])
    shares = {
        name: [each.get(state, 0) / sum(each.values()) for state in chosen]
        for name, each in measured.items()
    }
    return chosen, shares, len(known) - len(chosen)
