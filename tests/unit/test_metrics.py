"""Metrics of a log as tables and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from covalent_braket_plugin.errors import PlotError
from covalent_braket_plugin.monitoring.logs import Line
from covalent_braket_plugin.monitoring.metrics import COLUMNS, frame, wide
from covalent_braket_plugin.monitoring.plots import plot, terminal_plot

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
ENERGIES = [-1.1167, -1.13, -1.1355, -1.1371, -1.13727]
EXACT = {"energy": -1.13728}


def table_of(texts: Iterable[str]) -> pd.DataFrame:
    return frame(Line(text, BEGAN + timedelta(seconds=n)) for n, text in enumerate(texts))


@pytest.fixture
def descent() -> pd.DataFrame:
    """Two metrics over five iterations."""
    return table_of(
        f"Metrics - timestamp={100.5 + n}; energy={energy}; loss={2.0**-n}; iteration_number={n};"
        for n, energy in enumerate(ENERGIES)
    )


# --- tables --------------------------------------------------------------------------------------


def test_each_value_of_a_metric_is_a_row_in_the_order_of_the_log(descent: pd.DataFrame) -> None:
    energies = descent[descent["metric"] == "energy"]
    assert list(energies["value"]) == ENERGIES
    assert list(energies["iteration_number"]) == [0, 1, 2, 3, 4]
    assert energies["timestamp"].iloc[1] == pd.Timestamp(101.5, unit="s", tz="UTC")
    assert list(descent["metric"][:4]) == ["energy", "loss", "energy", "loss"]


@pytest.mark.parametrize("texts", [[], ["hello"], ["Metrics - x=1;"], ["Metrics - x=nan;"]])
def test_the_types_of_columns_never_change(texts: list[str]) -> None:
    assert {name: str(of) for name, of in table_of(texts).dtypes.items()} == COLUMNS


def test_a_metric_without_a_time_has_that_of_its_line() -> None:
    found = table_of(["", "Metrics - x=1;"])
    assert found["timestamp"].iloc[0] == BEGAN + timedelta(seconds=1)
    assert found["iteration_number"].isna().all()


def test_times_are_exact_to_the_microsecond() -> None:
    (time,) = table_of(["Metrics - timestamp=1795279136.2; x=1;"])["timestamp"]
    assert time.isoformat() == "2026-11-21T16:38:56.200000+00:00"


def test_metrics_side_by_side_have_a_row_for_each_iteration(descent: pd.DataFrame) -> None:
    found = wide(descent)
    assert list(found.columns) == ["energy", "loss"]
    assert found.index.name == "iteration_number"
    assert found.loc[2, "energy"] == -1.1355
    assert found.loc[4, "loss"] == 2.0**-4


def test_metrics_that_do_not_all_have_iterations_are_side_by_side_by_time() -> None:
    found = wide(
        table_of(
            ["Metrics - timestamp=1.5; x=1; iteration_number=0;", "Metrics - timestamp=2.5; y=2;"]
        )
    )
    assert found.index.name == "timestamp"
    assert found["x"].isna().tolist() == [False, True]
    assert found["y"].isna().tolist() == [True, False]


def test_of_two_values_for_the_same_iteration_the_last_stands() -> None:
    texts = [f"Metrics - timestamp={n}; x={n}; iteration_number=0;" for n in (1, 2)]
    assert wide(table_of(texts))["x"].tolist() == [2.0]


def test_no_metrics_side_by_side_are_an_empty_table() -> None:
    assert wide(table_of([])).shape == (0, 0)


# --- pictures ------------------------------------------------------------------------------------


def texts_in(picture: Path) -> set[str]:
    """What an SVG says; matplotlib draws text as paths and notes it in a comment."""
    return set(re.findall(r"<!-- (.+?) -->", picture.read_text()))


def test_a_picture_names_its_metrics_and_axes(descent: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "energy.svg"
    plot(descent, path, title="Ground state of H2", exact=EXACT)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert {"Ground state of H2", "energy", "loss", "iteration", "exact: -1.13728"} <= texts_in(
        path
    )


def test_without_iterations_a_picture_is_over_time(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    plot(table_of(f"Metrics - timestamp={n}; x={n};" for n in range(3)), path)
    assert "seconds since the first value" in texts_in(path)


def test_the_suffix_says_what_kind_of_picture(descent: pd.DataFrame, tmp_path: Path) -> None:
    plot(descent, tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PlotError, match=r"\.png or \.svg files, by their name: not .*a\.pdf"):
        plot(descent, tmp_path / "a.pdf")


def test_the_same_metrics_make_the_same_file(descent: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot(descent, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("texts", [[], ["Metrics - x=nan;"]])
def test_where_nothing_can_be_drawn_it_is_said(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(PlotError, match="no metric with a finite value"):
        plot(table_of(texts), tmp_path / "a.png")
    with pytest.raises(PlotError, match="no metric with a finite value"):
        terminal_plot(table_of(texts))
    assert not (tmp_path / "a.png").exists()


def test_values_that_are_no_numbers_are_left_out_of_a_picture() -> None:
    text = terminal_plot(
        table_of(f"Metrics - timestamp={n}; x={value};" for n, value in enumerate((1, math.inf, 3)))
    )
    assert "inf" not in text
    assert "3.0" in text


@pytest.mark.parametrize("width", [60, 100])
def test_a_picture_in_the_terminal_is_plain_text_as_wide_as_it_is(
    descent: pd.DataFrame, width: int
) -> None:
    text = terminal_plot(descent, width=width, exact=EXACT)
    assert max(map(len, text.splitlines())) == width
    assert "\x1b" not in text
    assert "energy (line: exact, -1.13728)" in text
    assert "iteration" in text
    assert re.search(r"^ +0 +1 +2 +3 +4$", text, re.M)


def test_a_single_value_can_be_drawn(tmp_path: Path) -> None:
    only = table_of(["Metrics - timestamp=1; x=5; iteration_number=0;"])
    plot(only, tmp_path / "a.png")
    assert "x" in terminal_plot(only)


def test_numbers_without_a_distance_do_not_keep_the_others_from_being_drawn(tmp_path: Path) -> None:
    values = ("1e308", "-1e308", "1", "2")
    table = table_of(
        f"Metrics - timestamp={n}; x={value}; iteration_number={n};"
        for n, value in enumerate(values)
    )
    assert "2.00" in terminal_plot(table)
    plot(table, tmp_path / "x.png")


def test_more_metrics_than_a_picture_holds_are_refused_and_not_drawn(tmp_path: Path) -> None:
    table = table_of(f"Metrics - timestamp=1; m{n}=1;" for n in range(10_000))
    with pytest.raises(PlotError, match="10000 metrics are too many for one picture, 20 fit"):
        plot(table, tmp_path / "x.png")
    with pytest.raises(PlotError, match="--metric NAME"):
        terminal_plot(table)
