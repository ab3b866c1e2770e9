"""How a dispatch looks that is watched: as a table, and as lines that say what is new. Pure.

Read from the JSON that Covalent's server tells below ``/braket/api``. What electrons print is
shown, never obeyed: no control character of theirs reaches the terminal.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from covalent_braket_plugin.covalent_compat.store import TERMINAL

__all__ = ["clean", "differs", "news", "picture"]

STYLES = {
    "running": "cyan",
    "uploading": "cyan",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "yellow",
}
ORDER = ("failed", "running", "uploading", "collecting", "starting", "queued", "staging")
"""What is shown first if not all fits; what is not named comes after these."""
LAST = ("skipped", "cancelled", "completed")
COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "node": {"justify": "right"},
    "electron": {"max_width": 24},
    "phase": {},
    "time": {"justify": "right"},
    "says": {"ratio": 3, "min_width": 8},
    "metrics": {"ratio": 3},
    "last line": {"ratio": 4},
    "cost": {"justify": "right"},
}
MOST_METRICS = 3
LINE_CHARACTERS = 200
CHANGING = ("now", "seconds")
"""What changes without anything being new."""

Json = Mapping[str, Any]


def clean(text: object, most: int = LINE_CHARACTERS) -> str:
    """Make one harmless line of a text: no control, escape or direction characters in it."""
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each)[0] == "C" else each
        for each in str(text)[: most + 1].replace("\t", " ").replace("\n", " ").strip()
    )
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


# --- as a table --------------------------------------------------------------------------------


def picture(told: Json, rows: int) -> RenderableType:
    """Draw a dispatch.

    Args:
        told: What the server tells of it.
        rows: So many electrons at most.
    """
    electrons = sorted(told["electrons"], key=_weight)
    shown = sorted(electrons[:rows], key=lambda each: int(each["node_id"]))
    # A line for each electron, however narrow the terminal is, and no column that says nothing.
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    cells = [dict(zip(COLUMNS, _cells(each), strict=True)) for each in shown]
    used = [name for name in COLUMNS if any(row[name].plain for row in cells)]
    for name in used:
        table.add_column(name, no_wrap=True, **COLUMNS[name])
    for row in cells:
        table.add_row(*(row[name] for name in used))
    return Group(Text(_title(told), "bold"), table, Text(_totals(told, electrons[rows:])))


def _weight(electron: Json) -> tuple[int, int]:
    phase = electron["phase"]
    if phase in ORDER:
        return ORDER.index(phase), int(electron["node_id"])
    return len(ORDER) + (LAST.index(phase) + 1 if phase in LAST else 0), int(electron["node_id"])


def _cells(electron: Json) -> Iterator[Text]:
    phase = str(electron["phase"])
    attempt = f" (attempt {electron['attempt']})" if electron["attempt"] > 1 else ""
    yield Text(str(electron["node_id"]))
    yield Text(clean(electron["name"]))
    yield Text(clean(phase) + attempt, STYLES.get(phase, ""))
    yield Text(_duration(electron["seconds"]))
    yield Text(clean(electron["note"] or electron["status_text"]))
    yield Text(_metrics(electron["metrics"]))
    failed = phase == "failed" and electron["error"]
    yield Text(clean(_first_line(electron["error"]) if failed else electron["last_line"]))
    yield Text(_usd(electron["cost_usd"]))


def _title(told: Json) -> str:
    return f"{clean(told['workflow'])} {clean(told['dispatch_id'])}: {clean(told['status'])}"


def _totals(told: Json, left_out: Sequence[Json]) -> str:
    counts = Counter(str(each["phase"]) for each in told["electrons"])
    said = ", ".join(f"{count} {clean(phase)}" for phase, count in counts.most_common())
    parts = [f"{len(told['electrons'])} electrons: {said}" if counts else "no electrons yet"]
    if left_out:
        parts.append(f"{len(left_out)} of them not shown")
    if told["began"]:
        began, now = (datetime.fromisoformat(told[name]) for name in ("began", "now"))
        parts.append(_duration((now - began).total_seconds()))
    if told["cost_usd"] is not None:
        free = " on AWS, nothing here" if any(map(_local, told["electrons"])) else ""
        least = "at least " if any(map(_cost_missing, told["electrons"])) else ""
        parts.append(f"cost so far {least}{_usd(told['cost_usd'])}{free}")
    return "; ".join(parts)


def _local(electron: Json) -> bool:
    """Whether its job is one of the local Braket: the AWS console shows those of AWS."""
    return bool(electron["job_arn"]) and not electron["console_url"]


def _cost_missing(electron: Json) -> bool:
    """Whether it had a job whose cost is not known, such as one from before the server started."""
    had_job = bool(electron["job_arn"]) and electron["phase"].upper() in TERMINAL
    return had_job and electron["cost_usd"] is None


def _metrics(metrics: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    said = []
    for name, points in list(metrics.items())[:MOST_METRICS]:
        iteration, _, value = points[-1] if points else (None, None, None)
        at = "" if iteration is None else f" (iteration {iteration})"
        said.append(f"{clean(name, 40)}={'?' if value is None else f'{value:.6g}'}{at}")
    more = len(metrics) - MOST_METRICS
    return ", ".join(said) + (f", and {more} more" if more > 0 else "")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _usd(usd: float | None) -> str:
    return "" if usd is None else f"${usd:.4f}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


# --- as lines ----------------------------------------------------------------------------------


def differs(before: Json | None, told: Json) -> bool:
    """Whether anything is new but the time."""
    return before is None or _lasting(before) != _lasting(told)


def _lasting(told: Json) -> dict[str, Any]:
    kept = {name: value for name, value in told.items() if name not in CHANGING}
    kept["electrons"] = [
        {name: value for name, value in each.items() if name not in CHANGING}
        for each in told["electrons"]
    ]
    return kept


def news(before: Json | None, told: Json) -> list[str]:
    """Say in lines what is new: phases, what they are waiting for, and statuses of electrons.

    Args:
        before: What was told before; None at first.
        told: What is told now.
    """
    known = {each["node_id"]: each for each in before["electrons"]} if before else {}
    lines = [
        line
        for each in told["electrons"]
        for line in _of_electron(known.get(each["node_id"]), each, told["now"])
    ]
    lines.sort(key=lambda line: datetime.fromisoformat(line[0]))
    if before is None or before["status"] != told["status"]:
        lines.append((told["now"], _title(told)))
    return [f"{_clock(time)}  {text}" for time, text in lines]


def _of_electron(before: Json | None, electron: Json, now: str) -> Iterator[tuple[str, str]]:
    name = f"{clean(electron['name'])} (node {electron['node_id']})"
    seen = len(before["history"]) if before else 0
    note = electron["note"]
    said = electron["status_text"]
    if said and (before is None or before["status_text"] != said):
        # What an electron says comes before its end, even if it is heard only then.
        over = electron["phase"].upper() in TERMINAL and electron["history"]
        yield electron["history"][-1][1] if over else now, f"{name} says: {clean(said)}"
    for number, (phase, time) in enumerate(electron["history"][seen:], seen + 1):
        last = number == len(electron["history"])
        again = _again(electron["history"][:number])
        yield time, f"{name}: {clean(phase)}{again}{_more(electron) if last else ''}"
    unseen = before is None or before["phase"] != electron["phase"]
    noted = before and note and note != before["note"] and seen == len(electron["history"])
    if noted or (unseen and not electron["history"]):
        yield now, f"{name}: {clean(electron['phase'])}{_more(electron)}"


def _again(history: Sequence[Sequence[str]]) -> str:
    """Say where another attempt begins: each begins with staging."""
    begun = sum(phase == "staging" for phase, _ in history)
    return f", attempt {begun}" if begun > 1 and history[-1][0] == "staging" else ""


def _more(electron: Json) -> str:
    if electron["phase"] == "failed" and electron["error"]:
        return f": {clean(_first_line(electron['error']))}"
    return f": {clean(electron['note'])}" if electron["note"] else ""


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
