"""The directories of a job: what it was given, and what it leaves."""

from __future__ import annotations

from pathlib import Path

from covalent_braket_plugin.job.context import context

__all__ = ["input_dir", "results_dir"]


def input_dir(channel: str) -> Path:
    """Find the directory of a channel of input data.

    Args:
        channel: Its name in the setting `input_data`.

    Raises:
        FileNotFoundError: There is no such channel; the text names those that are there.
    """
    inputs = context().inputs
    found = inputs / channel
    known = sorted(path.name for path in inputs.iterdir()) if inputs.is_dir() else []
    if channel in known and found.is_dir():  # no path that leads elsewhere
        return found
    there = ", ".join(known) if known else "none"
    raise FileNotFoundError(
        f"There is no input channel {channel!r}: {found} does not exist. Channels: {there}. Give "
        f"it to the executor: input_data={{{channel!r}: 's3://... or a path'}}."
    )


def results_dir() -> Path:
    """Find the directory whose files come back as the electron's result files; made if needed."""
    found = context().results
    found.mkdir(parents=True, exist_ok=True)
    return found
