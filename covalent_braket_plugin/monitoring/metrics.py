"""A job's metrics as tables of pandas, from its log: while it runs and afterwards.

pandas is loaded when a table is made, not before: Covalent's server imports this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from covalent_braket_plugin.monitoring.lines import Metric, metrics_in
from covalent_braket_plugin.monitoring.logs import Line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "frame", "frame_of", "metrics_of", "wide"]

COLUMNS = {
    "metric": "string",
    "value": "float64",
    "iteration_number": "Int64",
    "timestamp": "datetime64[ns, UTC]",
}
"""The columns of `frame` and their types, which an empty table has too."""


def metrics_of(lines: Iterable[Line]) -> Iterator[Metric]:
    """Read the metrics of a log; those that say no time have that of their line."""
    for line in lines:
        for metric in metrics_in(line.text):
            known = metric.timestamp is not None
            yield metric if known else replace(metric, timestamp=line.time.timestamp())


def frame(lines: Iterable[Line]) -> pd.DataFrame:
    """Make a table of the metrics of a log, one row for each value, in the order of the log.

    Args:
        lines: A job's log, or as much of it as there is.

    Returns:
        A table with `COLUMNS`: ``iteration_number`` is ``<NA>`` where the job said none,
        ``timestamp`` is in UTC.
    """
    return frame_of(metrics_of(lines))


def frame_of(metrics: Iterable[Metric]) -> pd.DataFrame:
    """Make the table of `frame` of values that are known already."""
    import pandas as pd

    rows = [(each.name, each.value, each.iteration, each.timestamp) for each in metrics]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")
    # A float cannot tell nanoseconds of this century apart.
    microseconds = pd.to_numeric(table["timestamp"]).mul(1e6).round()
    table["timestamp"] = pd.to_datetime(microseconds, unit="us", utc=True)
    return table.astype(COLUMNS)


def wide(table: pd.DataFrame) -> pd.DataFrame:
    """Put metrics side by side: a column for each, in the order in which they came.

    Args:
        table: What `frame` made.

    Returns:
        A row for each iteration, or, if some value has none, for each time; a missing value is
        NaN. Of several values of a metric in the same row, the last stands.
    """
    by = "timestamp" if table["iteration_number"].isna().any() else "iteration_number"
    last = table.drop_duplicates([by, "metric"], keep="last")
    found = last.pivot(index=by, columns="metric", values="value")
    return found.reindex(columns=table["metric"].unique()).rename_axis(columns=None)
