"""``python -m covalent_braket_plugin.local``: serve, start, stop, status, logs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import ImageError, LocalBraketError
from covalent_braket_plugin.local import daemon
from covalent_braket_plugin.local.options import RUNNERS, Options
from covalent_braket_plugin.local.quotas import CHOICES
from covalent_braket_plugin.local.state import LockTaken, StateDir

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: Command line without the program; None for the process's own.

    Returns:
        Exit code: 0 if all went well, 1 with a line on stderr if not.
    """
    given = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = given.run
        return command(given)
    except (ImageError, LocalBraketError) as error:
        print(error, file=sys.stderr)
        return 1


def _serve(given: argparse.Namespace) -> int:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        # boto3 would read them; a profile of the user that is not there would break it.
        del os.environ[name]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Only serving needs the server's parts: the other subcommands answer sooner without.
    from covalent_braket_plugin.local.serve import serve

    try:
        serve(_options(given))
    except LockTaken:
        raise LocalBraketError(f"A local Braket runs in {given.state_dir} already") from None
    except OSError as error:
        logging.exception("it cannot serve")
        raise LocalBraketError(f"Cannot serve from {given.state_dir}: {error}") from error
    return 0


def _start(given: argparse.Namespace) -> int:
    options = vars(_options(given))
    info = daemon.start(options.pop("state_dir"), **options)
    _show(given, info, f"The local Braket answers at {info['endpoint_url']}")
    return 0


def _stop(given: argparse.Namespace) -> int:
    ran = daemon.stop(given.state_dir)
    _show(given, {"stopped": ran}, "Stopped" if ran else "None was running")
    return 0


def _status(given: argparse.Namespace) -> int:
    info = daemon.status(given.state_dir)
    text = f"Runs at {info['endpoint_url']}" if info else "None is running"
    _show(given, info or {}, text)
    return 0 if info else 1


def _logs(given: argparse.Namespace) -> int:
    print(StateDir(given.state_dir).log_tail())
    return 0


def _show(given: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    print(json.dumps(data) if given.json else text)


def _options(given: argparse.Namespace) -> Options:
    return Options(
        state_dir=given.state_dir,
        worker=tuple(given.worker),
        worker_image=given.worker_image,
        port=given.port,
        slots=given.slots,
        quotas=given.quotas,
        max_concurrent_jobs=given.max_concurrent_jobs,
        rate_limits=given.rate_limits,
        grace_seconds=given.grace,
        keep_job_dirs=given.keep_job_dirs,
        runner=given.runner,
        namespaces=not given.no_namespaces,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m covalent_braket_plugin.local")
    commands = parser.add_subparsers(required=True)
    for name, run, text in (
        ("serve", _serve, "serve in the foreground"),
        ("start", _start, "start in the background, if none runs"),
        ("stop", _stop, "stop it, with all jobs"),
        ("status", _status, "say whether one runs, and where"),
        ("logs", _logs, "print the end of its log"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("--state-dir", type=Path, required=True)
        command.add_argument("--json", action="store_true", help="print JSON")
        if name in ("serve", "start"):
            _add_options(command)
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--port", type=int, default=0, help="0 picks a free one")
    add("--worker", type=_command, default=[], help="JSON list: the worker image's command")
    add("--worker-image", default="covalent-braket-worker:none", help="repository:tag")
    add("--slots", type=int, default=0, help="jobs that run at once (default: processors)")
    add("--quotas", choices=CHOICES, default="none", help="quotas to enforce; default: AWS's own")
    add("--max-concurrent-jobs", type=int, help="unfinished jobs, whatever the quotas; 0: any")
    add(
        "--rate-limits",
        action=argparse.BooleanOptionalAction,
        help="enforce the service's request rates, whatever the quotas",
    )
    add("--grace", type=float, default=5.0, help="seconds between SIGTERM and SIGKILL")
    add("--keep-job-dirs", action="store_true", help="keep the directories of ended jobs")
    add("--runner", choices=RUNNERS, default=RUNNERS[0], help="what jobs run in")
    add("--no-namespaces", action="store_true", help="never mount /opt/ml for jobs")


def _command(text: str) -> list[str]:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(parsed, list) or not all(isinstance(part, str) for part in parsed):
        raise argparse.ArgumentTypeError("must be a JSON list of strings")
    return parsed


if __name__ == "__main__":
    sys.exit(main())
