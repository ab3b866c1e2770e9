"""Terraform (or OpenTofu) as a program: found, asked, listened to, and its errors made ours."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from covalent_braket_plugin.errors import DeployError

__all__ = ["IDENTITY_VARIABLES", "Terraform", "find_program", "program_environment"]

PROGRAMS = ("terraform", "tofu")
OLDEST = (1, 5)
"""What the templates need; OpenTofu begins with 1.6."""
LONGEST_ERROR = 1500
PLAN_FILE = "plan.tfplan"

IDENTITY_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""What says who calls AWS, and where: replaced as a whole, so that identities do not mix."""

_ABOUT_PROVIDERS = (
    "Terraform has to fetch its AWS provider here, once. Behind a proxy set HTTPS_PROXY; without a "
    "network name a mirror in the file of TF_CLI_CONFIG_FILE "
    "(https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation)."
)

Event = Mapping[str, Any]
Listener = Callable[[Event], None]


def find_program(path: str | None = None) -> str:
    """Find Terraform or OpenTofu, and demand a version that the templates work with.

    Args:
        path: Directories to search instead of ``PATH``.

    Raises:
        DeployError: There is none, or it is too old.
    """
    found = next(filter(None, (shutil.which(name, path=path) for name in PROGRAMS)), None)
    if found is None:
        raise DeployError(
            "Neither terraform nor tofu is on PATH. Install Terraform 1.5 or newer "
            "(https://developer.hashicorp.com/terraform/install) or OpenTofu "
            "(https://opentofu.org/docs/intro/install)."
        )
    version = _version(found)
    if version < OLDEST:
        shown, needed = (".".join(map(str, parts)) for parts in (version, OLDEST))
        raise DeployError(
            f"{found} is version {shown}, and {needed} or newer is needed. Update it: "
            "https://developer.hashicorp.com/terraform/install"
        )
    return found


def _version(program: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [program, "version", "-json"], capture_output=True, text=True, timeout=60, check=True
        )
        text = json.loads(answer.stdout)["terraform_version"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise DeployError(f"{program} cannot be run: {error}") from error
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def program_environment(environ: Mapping[str, str], identity: Mapping[str, str]) -> dict[str, str]:
    """Make the environment in which Terraform calls AWS as this identity and no other.

    Args:
        environ: Whose other variables are kept: proxies, Terraform's own, ``PATH``.
        identity: The variables of the identity.
    """
    kept = {name: value for name, value in environ.items() if name not in IDENTITY_VARIABLES}
    return {**kept, **identity, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


@dataclass(frozen=True)
class Terraform:
    """Terraform in one directory, as one identity.

    Attributes:
        program: Path of the program.
        directory: Where templates, variables and state are.
        environment: Its environment variables; they hold the identity's keys.
    """

    program: str
    directory: Path
    environment: Mapping[str, str]

    def init(self) -> None:
        """Fetch the providers, unless they are there.

        Raises:
            DeployError: They cannot be had.
        """
        try:
            self._text("init", "-no-color")
        except DeployError as error:
            # In Terraform's words: "Failed to query available provider packages", "... install ..."
            if not re.search(r"Failed to (query|install) .*provider", str(error)):
                raise
            raise DeployError(f"{error}\n{_ABOUT_PROVIDERS}") from error

    def plan(self, *, destroy: bool = False) -> dict[str, Any]:
        """Look at what is there, and work out what has to be done; changes nothing.

        Returns:
            The plan as ``terraform show -json`` writes it.

        Raises:
            DeployError: AWS, a variable or a template says no.
        """
        more = ["-destroy"] if destroy else []
        self._stream(lambda event: None, "plan", f"-out={PLAN_FILE}", *more)
        plan: dict[str, Any] = json.loads(self._text("show", "-json", PLAN_FILE))
        return plan

    def apply(self, listener: Listener) -> None:
        """Do what the last plan says.

        Args:
            listener: Hears what happens, as events of Terraform's machine-readable UI
                (https://developer.hashicorp.com/terraform/internals/machine-readable-ui).

        Raises:
            DeployError: Something went wrong; what was done until then is in the state.
        """
        try:
            self._stream(listener, "apply", PLAN_FILE)
        finally:
            self.forget_plan()

    def forget_plan(self) -> None:
        """Remove the last plan."""
        (self.directory / PLAN_FILE).unlink(missing_ok=True)

    def outputs(self) -> dict[str, Any]:
        """Read the outputs; empty if nothing is deployed."""
        found = json.loads(self._text("output", "-json"))
        return {name: output["value"] for name, output in found.items()}

    def _text(self, *arguments: str) -> str:
        ended = subprocess.run(
            [self.program, *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            raise DeployError(_plain_error(arguments[0], ended.stderr or ended.stdout))
        return ended.stdout

    def _stream(self, listener: Listener, command: str, *arguments: str) -> None:
        problems: list[str] = []
        others: list[str] = []
        process = subprocess.Popen(
            [self.program, command, "-json", *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with _stopped_in_order(process):
            for event in _events(process, others):
                if _is_error(event):
                    problems.append(_diagnostic(event["diagnostic"]))
                listener(event)
        if process.wait():
            said = "\n".join(dict.fromkeys(problems))
            raise DeployError(said or _plain_error(command, "".join(others)))


@contextmanager
def _stopped_in_order(process: subprocess.Popen[str]) -> Iterator[None]:
    """Have Terraform stop in good order, whatever ends this program.

    Terraform answers an interrupt by waiting for what it has begun, and notes it in its state. Were
    it killed, by a terminal that is closed or by a pipe that nobody reads, things would be left on
    AWS of which it knows nothing, and which keep it from making them again.
    """

    def stop(number: int, frame: object) -> NoReturn:
        process.send_signal(signal.SIGINT)
        raise KeyboardInterrupt

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [each for each in numbers if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    except BaseException as error:  # also if nobody reads what we print
        if not isinstance(error, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
        process.communicate()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _events(process: subprocess.Popen[str], others: list[str]) -> Iterator[Event]:
    for line in process.stdout or ():
        try:
            event = json.loads(line)
        except ValueError:
            others.append(line)
            continue
        yield event


def _is_error(event: Event) -> bool:
    return event.get("type") == "diagnostic" and event["diagnostic"].get("severity") == "error"


def _diagnostic(diagnostic: Mapping[str, Any]) -> str:
    """One error in one paragraph: what, why, and what it is about."""
    detail = " ".join(str(diagnostic.get("detail", "")).split())
    about = f" ({diagnostic['address']})" if diagnostic.get("address") else ""
    text = f"{diagnostic['summary']}{about}"
    return f"{text}: {detail}"[:LONGEST_ERROR] if detail else text


def _plain_error(command: str, text: str) -> str:
    """What a command without machine-readable output says, in one paragraph."""
    plain = " ".join(re.sub(r"[│╷╵]|\x1b\[[0-9;]*m", " ", text).split())
    _, found, rest = plain.partition("Error: ")
    said = (rest if found else plain)[:LONGEST_ERROR] or "it did not say why"
    return f"terraform {command} failed: {said}"
