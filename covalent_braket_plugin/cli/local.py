"""``covalent-braket local``: start, find and stop the local Braket."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from click.core import ParameterSource

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.errors import LocalBraketError

__all__ = ["local"]

Command = TypeVar("Command", bound=Callable[..., Any])

SERVER_LOG = "server.log"
REQUEST_LOG = "access.log"
PROXY_EXEMPTIONS = ("NO_PROXY", "no_proxy")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
FOLLOW_SECONDS = 0.25
STOPPED = 3
"""Exit code of ``status`` if none runs, as init scripts have it."""


@click.group(
    short_help="Start, find and stop a Braket of your own.",
    epilog="""\b
Examples:
  covalent-braket local start
  eval "$(covalent-braket local env)"     point any boto3 program at it, in this shell
  covalent-braket local logs --requests -f
  covalent-braket local stop
""",
)
def local() -> None:
    """A Braket of your own on this machine: no AWS account, no costs.

    It answers on the loopback address only, and keeps its jobs and buckets in memory: they are
    gone when it stops. BraketExecutor(local=True) finds it, and starts it if none runs.
    """


def state_dir_option(command: Command) -> Command:
    """Give a command the option ``--state-dir``."""
    return click.option(
        "--state-dir",
        type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
        help=f"Its directory (else ${local_endpoint.STATE_DIR_VARIABLE}, else one in your home).",
    )(command)


@local.command(
    short_help="Start it.",
    epilog="""\b
Examples:
  covalent-braket local start
  covalent-braket local start --quotas default    as tight as a new AWS account
  covalent-braket local start --runner docker     images of your own run in containers
""",
)
@state_dir_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 picks a free one.")
@click.option(
    "--slots", type=click.IntRange(0), default=0, help="Jobs that run at once; 0: by processors."
)
@click.option(
    "--quotas",
    type=click.Choice(["none", "default"]),
    default="none",
    show_default=True,
    help="default: those of a new AWS account: 3 open jobs, instances by type, request rates.",
)
@click.option(
    "--max-concurrent-jobs",
    type=click.IntRange(0),
    help="Open jobs that are allowed, whatever --quotas says; 0 for any number.",
)
@click.option(
    "--rate-limits/--no-rate-limits",
    default=None,
    help="Throttle calls at the rates of AWS, whatever --quotas says.",
)
@click.option(
    "--runner",
    type=click.Choice(["processes", "docker"]),
    default="processes",
    show_default=True,
    help="docker: a job whose image this machine's engine has runs in a container of it.",
)
@click.option("--keep-job-dirs", is_flag=True, help="Keep the directories of ended jobs.")
@json_option
@click.pass_context
def start(context: click.Context, /, state_dir: Path | None, as_json: bool, **options: Any) -> None:
    """Start the local Braket, unless it runs already.

    By default nothing is scarce. `--quotas default` makes it as tight as a new AWS account: then
    CreateJob, GetJob and the others are throttled, a fourth open job is refused, and so is every
    job on an instance type of which such an account may have none.
    """
    directory = state_dir or local_endpoint.default_state_dir()
    _require_extra()
    from covalent_braket_plugin.local import daemon

    running = local_endpoint.find(directory)
    if running is not None and any(_was_given(context, name) for name in options):
        note("it runs already: the options are not applied. Stop it first to change them.")
    with console(stderr=True).status("Starting the local Braket ..."):
        info = running or daemon.start(
            directory,
            worker=local_endpoint.worker_command(),
            worker_image=local_endpoint.worker_image(),
            **options,
        )
    if as_json:
        print_json(info)
    else:
        _welcome(info, directory)


@local.command(short_help="Stop it and all that runs in it.")
@state_dir_option
@json_option
def stop(state_dir: Path | None, as_json: bool) -> None:
    """Stop the local Braket and everything that runs in it; fine if none runs."""
    from covalent_braket_plugin.local import daemon

    directory = state_dir or local_endpoint.default_state_dir()
    with console(stderr=True).status("Stopping the local Braket ..."):
        stopped = daemon.stop(directory)
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("The local Braket is stopped." if stopped else "No local Braket was running.")


@local.command(short_help="Say whether and where it runs.")
@state_dir_option
@json_option
def status(state_dir: Path | None, as_json: bool) -> None:
    """Say whether and where the local Braket runs; exit code 3 if it does not."""
    directory = state_dir or local_endpoint.default_state_dir()
    info = local_endpoint.find(directory)
    if as_json:
        print_json({"running": info is not None, **(info or {})})
    elif info is None:
        click.echo("No local Braket is running. Start one with: covalent-braket local start")
    else:
        click.echo(_headline(info, directory))
    if info is None:
        raise click.exceptions.Exit(STOPPED)


@local.command(
    short_help="Print variables for AWS programs.",
    epilog="""\b
Examples:
  eval "$(covalent-braket local env)"
""",
)
@state_dir_option
def env(state_dir: Path | None) -> None:
    """Print the variables with which any AWS program uses the local Braket."""
    click.echo("\n".join(_exports(_running(state_dir))))


@local.command(short_help="Print its log.")
@state_dir_option
@click.option("--requests", is_flag=True, help="The requests that it got, a line each.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True)
def logs(state_dir: Path | None, requests: bool, follow: bool, lines: int) -> None:
    """Print the end of the local Braket's own log.

    What jobs print is in CloudWatch Logs, as on AWS: group /aws/braket/jobs.
    """
    directory = state_dir or local_endpoint.default_state_dir()
    path = directory / (REQUEST_LOG if requests else SERVER_LOG)
    if not path.is_file():
        raise LocalBraketError(f"There is no log in {directory}: no local Braket ran there.")
    with contextlib.closing(_Log(path)) as log:
        for text in log.tail(lines):
            click.echo(text, nl=False)
        if follow:
            _follow(log)


def _was_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


class _Log:
    """A log that is written to, begun anew and rotated while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def tail(self, lines: int) -> list[str]:
        """The last lines of what is there."""
        return list(deque(self._file, maxlen=lines))

    def more(self) -> Iterator[str]:
        """What has come since, in lines or parts of lines."""
        yield from self._file
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return  # in the middle of being rotated
        if now.st_ino != os.fstat(self._file.fileno()).st_ino:
            yield from self._file  # what was written to it last
            self._file.close()
            self._file = self._open()
        elif now.st_size < os.lseek(self._file.fileno(), 0, os.SEEK_CUR):
            self._file.seek(0)  # a new server has begun it anew

    def close(self) -> None:
        self._file.close()

    def _open(self) -> TextIO:
        return self._path.open(encoding="utf-8", errors="replace")


def _follow(log: _Log) -> None:
    try:
        while True:
            for text in log.more():
                click.echo(text, nl=False)
            time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        return


def _running(state_dir: Path | None) -> dict[str, Any]:
    info = local_endpoint.find(state_dir or local_endpoint.default_state_dir())
    if info is None:
        raise LocalBraketError(
            "No local Braket is running. Start one with: covalent-braket local start"
        )
    return info


def _require_extra() -> None:
    if find_spec("moto") is None or find_spec("braket") is None:
        raise LocalBraketError(
            "The local Braket is not installed. "
            'Install it with: pip install "covalent-braket-plugin[local]"'
        )


def _headline(info: Mapping[str, Any], directory: Path) -> str:
    where = f"pid {info['pid']}, state in {directory}"
    return f"The local Braket is running at {info['endpoint_url']} ({where})."


def _exports(info: Mapping[str, Any]) -> list[str]:
    variables = {
        "AWS_ENDPOINT_URL": info["endpoint_url"],
        "AWS_REGION": info["region"],
        "AWS_DEFAULT_REGION": info["region"],
        # Any key will do; without one boto3 does not even try.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        **_no_proxy(os.environ),
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Keep programs from asking a proxy for what is on this machine; some read one spelling only.

    The other hosts that are exempt now stay so.
    """
    named = ",".join(environ.get(name, "") for name in PROXY_EXEMPTIONS)
    hosts = [host for host in (part.strip() for part in named.split(",")) if host]
    # The star is read only where it stands alone.
    merged = ["*"] if "*" in hosts else list(dict.fromkeys([*hosts, *LOOPBACK_HOSTS]))
    return dict.fromkeys(PROXY_EXEMPTIONS, ",".join(merged))


def _welcome(info: Mapping[str, Any], directory: Path) -> None:
    click.echo(_headline(info, directory))
    click.echo("\nIn Covalent:            BraketExecutor(local=True)")
    if directory != local_endpoint.default_state_dir():
        click.echo("  with, in the shell of `covalent start`:")
        click.echo(f"  export {local_endpoint.STATE_DIR_VARIABLE}={directory}")
    click.echo("In any boto3 program:")
    for line in _exports(info):
        click.echo(f"  {line}")
    elsewhere = directory != local_endpoint.default_state_dir()
    named = f" --state-dir {shlex.quote(str(directory))}" if elsewhere else ""
    click.echo(f"\nStop it with:           covalent-braket local stop{named}")
