"""Where one deployment lives: templates, variables, Terraform's state, and what we wrote elsewhere.

A directory of its own in the user's data directory, for the owner only, so that an upgrade of this
package or a new virtual environment loses nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin.errors import DeployError

__all__ = ["DEFAULT_NAME", "TEMPLATES", "Workspace", "cloudformation_template"]

ASSETS = Path(__file__).parents[1] / "assets"
TEMPLATES = ASSETS / "infra"
DEFAULT_NAME = "covalent-braket"
VARIABLES_FILE = "terraform.tfvars.json"
RECORD_FILE = "deployment.json"
STATE_FILE = "terraform.tfstate"


@dataclass(frozen=True)
class Workspace:
    """The directory of one deployment.

    Attributes:
        directory: Where it is; need not be there yet.
    """

    directory: Path

    @classmethod
    def of(cls, name: str, environ: Mapping[str, str]) -> Workspace:
        """The workspace of that name: below ``$XDG_DATA_HOME``, else ``~/.local/share``."""
        data = environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
        return cls(Path(data) / "covalent-braket" / "deploy" / name)

    @property
    def exists(self) -> bool:
        """Whether something was deployed from here, and not removed since."""
        return self.state.is_file()

    @property
    def state(self) -> Path:
        """Terraform's state."""
        return self.directory / STATE_FILE

    def neighbours(self) -> list[Workspace]:
        """The workspaces of this user's other deployments; a damaged one holds up none of them."""
        found = []
        for record in self.directory.parent.glob(f"*/{RECORD_FILE}"):
            workspace = Workspace(record.parent)
            with contextlib.suppress(DeployError):
                if workspace != self and workspace.record():
                    found.append(workspace)
        return found

    def prepare(self, variables: Mapping[str, Any]) -> None:
        """Put the templates of this version and the variables there; all else stays.

        Args:
            variables: Terraform's variables by name, None for their defaults.

        Raises:
            DeployError: The directory cannot be written to.
        """
        try:
            # Nothing in it is secret, but what an account looks like is nobody else's business.
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for old in self.directory.glob("*.tf"):
                old.unlink()
            for template in TEMPLATES.glob("*.tf"):
                shutil.copyfile(template, self.directory / template.name)
            self.put_variables(variables)
        except OSError as error:
            raise DeployError(f"{self.directory} cannot be written to: {error}") from error

    def put_variables(self, variables: Mapping[str, Any]) -> None:
        """Write the variables; without any, as if none had been chosen."""
        if variables:
            self._write(VARIABLES_FILE, variables)
        else:
            (self.directory / VARIABLES_FILE).unlink(missing_ok=True)

    def variables(self) -> dict[str, Any]:
        """The variables that were chosen last; empty if none were."""
        return self._read(VARIABLES_FILE)

    def record(self) -> dict[str, Any]:
        """What `remember` was given."""
        return self._read(RECORD_FILE)

    def remember(self, **facts: Any) -> None:
        """Note facts about the deployment, beside those noted before."""
        self._write(RECORD_FILE, {**self.record(), **facts})

    def remove(self) -> None:
        """Remove the directory; only once everything in the state is destroyed."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DeployError(f"{self.directory / name} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise DeployError(f"{self.directory / name} cannot be read: it holds no JSON object.")
        return content

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = self.directory / name
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(content, indent=2) + "\n")
        temporary.replace(path)


def cloudformation_template(name: str = "braket") -> Path:
    """A CloudFormation template: ``braket``, the same resources, or ``cross-account-role``."""
    return ASSETS / "cloudformation" / f"{name}.yaml"
