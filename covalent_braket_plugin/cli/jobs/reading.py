"""``covalent-braket jobs logs``, ``result`` and ``artifacts``: what a job said and left."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from covalent_braket_plugin import tobj
from covalent_braket_plugin.cli.jobs.choosing import job_argument, the_job, with_history
from covalent_braket_plugin.cli.output import (
    clean,
    json_option,
    note,
    print_json,
    print_table,
    working,
)
from covalent_braket_plugin.history import History, HybridJob
from covalent_braket_plugin.history.archive import chosen
from covalent_braket_plugin.history.job_files import (
    MAX_ARTIFACT_BYTES,
    MAX_ARTIFACTS_IN_MEMORY_BYTES,
)

__all__ = ["artifacts", "logs", "result"]

MAX_TEXT_BYTES = 16 * 1024 * 1024
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


@click.command(
    short_help="A job's log, also as it grows.",
    epilog="""\b
Examples:
  covalent-braket logs 1f0c3a42
  covalent-braket logs 2f6c61f7:0 -f     follow node 0 of the dispatch that begins so
""",
)
@job_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@with_history
@json_option
def logs(history: History, job: str, follow: bool, as_json: bool) -> None:
    """Print a job's log, from CloudWatch Logs: what its electron wrote to stdout and stderr.

    JOB is its id or the beginning of it, its ARN, its name, or DISPATCH:NODE (its newest attempt).
    With --json each line is a JSON text. Ctrl-C ends only the reading, not the job.
    """
    try:
        found = the_job(history, job)
        if follow and not found.ended and found.started_at is None:
            note(f"{found.name} is {found.status}: its log begins when it runs.")
        for line in found.logs(follow=follow):
            click.echo(json.dumps(line) if as_json else _for_reader(line))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@click.command(
    short_help="What a job's electron returned, as text or as a pickle.",
    epilog="""\b
Examples:
  covalent-braket jobs result 1f0c3a42
  covalent-braket jobs result 2f6c61f7:0 --timeout 600
  covalent-braket jobs result 2f6c61f7:0 --output value.pkl
""",
)
@job_argument
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=0,
    show_default=True,
    help="Wait for its end for at most so many seconds.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the value there, as a pickle.",
)
@with_history
@json_option
def result(history: History, job: str, timeout: float, output: Path | None, as_json: bool) -> None:
    """Print what a job's electron returned, as text; nothing is unpickled.

    It comes from S3 while it is there, else from Covalent's records on this machine. Of a job that
    failed or was cancelled the report is printed, and the exit code is 1. Load a pickle only if
    you trust the job that wrote it.
    """
    found = the_job(history, job)
    with working(f"Waiting for {found.name} ..."):
        found.wait(timeout)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "value.tobj")
        found.save_value(file)
        if output is not None:
            _save(file, output)
        header, text = tobj.read_header(file), tobj.read_text(file, MAX_TEXT_BYTES)
    if as_json:
        versions = {"python": header.versions.python, "cloudpickle": header.versions.cloudpickle}
        print_json({"job": found.arn, "text": text, **versions})
    elif output is None:
        click.echo(_for_reader(text))
    else:
        click.echo(
            f"{output} is what {found.name} returned, pickled by Python {header.versions.python}."
        )


@click.command(
    short_help="The files that a job's electron left in Braket's result directory.",
    epilog="""\b
Examples:
  covalent-braket jobs artifacts 2f6c61f7:0
  covalent-braket jobs artifacts 2f6c61f7:0 --download results
  covalent-braket jobs artifacts 2f6c61f7:0 counts.json '*.npy' --download .
  covalent-braket jobs artifacts 2f6c61f7:0 energies.csv --show
""",
)
@job_argument
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--download",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Write them there.",
)
@click.option("--force", is_flag=True, help="With --download: replace files that are there.")
@click.option("--show", is_flag=True, help="Print what they hold.")
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="With --show: load pickles, which run whatever code the job put there.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=MAX_ARTIFACT_BYTES,
    show_default=True,
    help="Give up if the files of the job take more.",
)
@with_history
@json_option
def artifacts(
    history: History,
    job: str,
    names: tuple[str, ...],
    download: Path | None,
    force: bool,
    show: bool,
    allow_pickle: bool,
    max_bytes: int,
    as_json: bool,
) -> None:
    """List the files that a job left, all or those of these names; or download or show them.

    NAME is a file's path in the result directory, or a pattern such as '*.npy'. What is in the
    archive that is no plain file, or would lie outside of the directory, is left out with a
    warning. A file that is there already is not replaced without --force.
    """
    _demand_sense(download, force=force, show=show, allow_pickle=allow_pickle, as_json=as_json)
    found = the_job(history, job)
    with working(f"Reading the files of {found.name} ..."):
        rows = _rows(found, names, max_bytes)
    if show:
        _show(found, names, min(max_bytes, MAX_ARTIFACTS_IN_MEMORY_BYTES), allow_pickle)
        return
    if download is not None and rows:
        with working(f"Writing into {download} ..."):
            paths = _downloaded(found, download, names, max_bytes, force)
        for each in rows:
            path = download / str(each["name"])
            each["path"] = str(path) if path in paths else None
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(f"{found.name} left no files.")
    else:
        print_table(("name", "bytes", *(("path",) if download else ())), rows)


def _demand_sense(
    download: Path | None, *, force: bool, show: bool, allow_pickle: bool, as_json: bool
) -> None:
    if force and download is None:
        raise click.UsageError("--force is for --download DIRECTORY.")
    if allow_pickle and not show:
        raise click.UsageError("--allow-pickle is for --show; a download loads nothing.")
    if show and (download is not None or as_json):
        raise click.UsageError("--show prints values as text: leave out --download and --json.")


def _rows(job: HybridJob, names: tuple[str, ...], max_bytes: int) -> list[dict[str, object]]:
    files = job.artifact_files(max_bytes)
    missing = [name for name in names if not any(chosen(file.name, [name]) for file in files)]
    if missing:
        raise click.ClickException(f"{job.name} left no file {', '.join(sorted(missing))}.")
    return [
        {"name": file.name, "bytes": file.size, "path": None}
        for file in files
        if chosen(file.name, names)
    ]


def _show(job: HybridJob, names: tuple[str, ...], max_bytes: int, allow_pickle: bool) -> None:
    items = job.artifacts(*names, max_bytes=max_bytes, allow_pickle=allow_pickle)
    for item in items:
        if len(items) > 1:
            click.echo(f"{clean(item.name)} ({item.type}):")
        value = item.value
        if isinstance(value, bytes):
            more = "" if allow_pickle else ", or --allow-pickle for a pickle that you trust"
            click.echo(f"{len(value)} bytes, which are not text: use --download DIRECTORY{more}")
        else:
            click.echo(_for_reader(str(item.frame if item.frame is not None else value)))


def _save(value: Path, output: Path) -> None:
    try:
        with output.open("wb") as target:
            target.writelines(tobj.pickle_chunks(value))
    except OSError as error:
        raise click.ClickException(f"--output {output}: it cannot be written: {error}") from error


def _downloaded(
    job: HybridJob, directory: Path, names: tuple[str, ...], max_bytes: int, force: bool
) -> list[Path]:
    try:
        return job.download(directory, *names, max_bytes=max_bytes, overwrite=force)
    except FileExistsError as error:
        raise click.ClickException(
            f"--download {directory}: {error.filename} is there already. Replace it with --force, "
            "or choose another directory."
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"--download {directory}: a file cannot be written: {error}. Those before it are there."
        ) from error


def _for_reader(text: str) -> str:
    return clean(text) if sys.stdout.isatty() else text
