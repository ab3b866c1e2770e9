"""Pictures of a job's metrics: files of matplotlib, and text of plotext for the terminal.

Both are loaded when something is drawn, not before, and neither needs a display.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covalent_braket_plugin.errors import PlotError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "as_plain_text", "check_suffix", "plot", "terminal_plot", "written"]

SUFFIXES = (".png", ".svg")
WIDTH_INCHES = 7.0
PANEL_INCHES = 2.6
ROWS = 14
"""Height of one metric's picture in the terminal, with its axes."""
MIN_COLUMNS = 40
MOST_CURVES = 20
"""So many metrics fit into one picture."""
LARGEST = 1e150
"""Values beyond leave no axis to draw them on: their distances are not finite any more."""
MARKED_POINTS = 40
"""As long as there are so few, each point has a mark of its own."""

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class _Curve:
    """One metric as it is drawn: values that can be drawn only, in the order of x."""

    metric: str
    label: str
    x: list[float]
    y: list[float]


def plot(
    table: pd.DataFrame, path: Path, *, title: str = "", exact: Mapping[str, float] | None = None
) -> None:
    """Draw metrics into a file, one panel below the other.

    Args:
        table: What `metrics.frame` made.
        path: The file; its suffix says which kind: ``.png`` or ``.svg``.
        title: Stands above.
        exact: By metric, a value that it should reach: drawn as a dashed line.

    Raises:
        PlotError: There is nothing to draw, or too much, or the suffix is another.
        OSError: The file cannot be written.
    """
    kind = check_suffix(path)
    curves = _curves(table)
    path.write_bytes(_picture(curves, kind, title, exact or {}))


def check_suffix(path: Path) -> str:
    """Tell of which kind a picture is to be: ``png`` or ``svg``.

    Raises:
        PlotError: Of another.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise PlotError(f"Pictures are {' or '.join(SUFFIXES)} files, by their name: not {path}.")
    return kind[1:]


def written(draw: Callable[[Figure], None], kind: str, size: tuple[float, float]) -> bytes:
    """Write down what is drawn on a figure; the same picture makes the same bytes.

    Args:
        draw: Draws.
        kind: ``png`` or ``svg``.
        size: Width and height in inches.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # A fixed salt and no date: the same metrics make the same file.
    with rc_context({"svg.hashsalt": "covalent-braket", "font.size": 10}):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def as_plain_text(draw: Callable[[], None]) -> str:
    """Give what is drawn on plotext's one figure, without colours.

    Args:
        draw: Draws; the figure is cleared before, and is used nowhere else.
    """
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # by what it takes for the terminal
    draw()
    return "\n".join(line.rstrip() for line in _ESCAPES.sub("", plotext.build()).splitlines())


def terminal_plot(
    table: pd.DataFrame,
    *,
    width: int = 80,
    exact: Mapping[str, float] | None = None,
) -> str:
    """Draw metrics as plain text, one below the other.

    Args:
        table: What `metrics.frame` made.
        width: Columns of the terminal.
        exact: As for `plot`.

    Raises:
        PlotError: There is nothing to draw, or too much.
    """
    wide = max(MIN_COLUMNS, width)
    return "\n".join(_text(each, wide, (exact or {}).get(each.metric)) for each in _curves(table))


def _curves(table: pd.DataFrame) -> list[_Curve]:
    """Split a table into curves.

    Raises:
        PlotError: There are none, or too many.
    """
    finite = table[table["value"].abs() <= LARGEST]
    if (number := finite["metric"].nunique()) > MOST_CURVES:
        raise PlotError(
            f"{number} metrics are too many for one picture, {MOST_CURVES} fit. Choose some: with "
            '--metric NAME, or in Python with plot(path, "NAME").'
        )
    began = finite["timestamp"].min()
    curves = []
    for name, points in finite.groupby("metric", sort=False):
        counted = bool(points["iteration_number"].notna().all())
        column = "iteration_number" if counted else "timestamp"
        points = points.sort_values(column, kind="stable")
        at = points[column] if counted else (points[column] - began).dt.total_seconds()
        label = "iteration" if counted else "seconds since the first value"
        curves.append(_Curve(str(name), label, _floats(at), _floats(points["value"])))
    if not curves:
        raise PlotError("There is nothing to draw: the log has no metric with a finite value.")
    return curves


def _floats(column: pd.Series) -> list[float]:
    return [float(value) for value in column]


def _picture(curves: list[_Curve], kind: str, title: str, exact: Mapping[str, float]) -> bytes:
    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(curves), squeeze=False)[:, 0]
        for axes, curve in zip(panels, curves, strict=True):
            _panel(axes, curve, exact.get(curve.metric))
        if title:
            figure.suptitle(title)

    return written(draw, kind, (WIDTH_INCHES, PANEL_INCHES * len(curves) + 1))


def _panel(axes: Axes, curve: _Curve, exact: float | None) -> None:
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(curve.x) <= MARKED_POINTS else None
    axes.plot(curve.x, curve.y, marker=marker, markersize=4, label=curve.metric)
    if exact is not None:
        axes.axhline(exact, color="0.4", linestyle="--", linewidth=1, label=f"exact: {exact:.6g}")
    axes.set_xlabel(curve.label)
    axes.set_ylabel(curve.metric)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=curve.label == "iteration"))
    axes.grid(alpha=0.3)
    axes.legend()


def _text(curve: _Curve, width: int, exact: float | None) -> str:
    import plotext

    def draw() -> None:
        plotext.plot_size(width, ROWS)
        plotext.plot(curve.x, curve.y, marker="braille")
        title = curve.metric
        if exact is not None:
            plotext.hline(exact)
            title += f" (line: exact, {exact:.6g})"
        plotext.title(title)
        plotext.xlabel(curve.label)
        if curve.label == "iteration":
            _whole_numbers(curve.x)

    return as_plain_text(draw)


def _whole_numbers(x: list[float]) -> None:
    """Have the axis show iterations, at most about nine of them."""
    import plotext

    first, last = int(min(x)), int(max(x))
    step = max(1, math.ceil((last - first) / 8))
    plotext.xticks(list(range(first, last + 1, step)))
