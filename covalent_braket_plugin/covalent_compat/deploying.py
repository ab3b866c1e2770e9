"""``covalent deploy up|status|down braket``: what keeps Covalent 0.240 from doing it.

Checked in ``covalent/cloud_resource_manager/core.py`` of that version:

- It reads Terraform's version as a number of three characters, so that 1.10 and all that is newer
  is 1.1 to it, and refused.
- It demands Docker, which it does not use.
- It gives Terraform ``PATH`` and nothing else: no credentials, home, proxy or settings.
- It keeps state in the installed package, where an upgrade of the package deletes it.
- After ``down`` the configuration file still names what is gone.
- An option of the wrong type is a traceback.

What was chosen before stays chosen, here as in ``covalent-braket deploy up``; what was refused, or
only planned, was not chosen.

All is mended for our own executor alone, in the process of that command, when it looks in the
module of our executor for what it needs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.covalent_compat.release import checked_release

if TYPE_CHECKING:
    from covalent_braket_plugin.deploy.deployment import Deployment

__all__ = ["adapt"]

EXECUTOR = "braket"
SECTION = f"executors.{EXECUTOR}"


def adapt() -> None:
    """Make Covalent's resource manager work for our executor, if this process has loaded it."""
    core: Any = sys.modules.get("covalent.cloud_resource_manager.core")
    if core is None or not checked_release():
        return
    manager = core.CloudResourceManager
    if hasattr(manager._get_tf_path, "__wrapped__"):
        return
    _instead(manager, "_get_tf_path", lambda original, self: _begin(self))
    _instead(manager, "_validation_docker", lambda original, self: None)
    _instead(manager, "_run_in_subprocess", _run)
    _instead(manager, "_update_config", _update_config)
    _instead(manager, "up", _up)
    _instead(manager, "down", _down)
    core.validate_options = _with_words(core.validate_options)


def _instead(owner: Any, name: str, ours: Callable[..., Any]) -> None:
    """Replace a method for managers of our executor."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        if self.executor_name != EXECUTOR:
            return original(self, *args, **options)
        return ours(original, self, *args, **options)

    setattr(owner, name, method)


def _with_words(validate: Callable[..., None]) -> Callable[..., None]:
    """Say which option is wrong, where Covalent would show a traceback."""
    from pydantic import ValidationError

    @functools.wraps(validate)
    def validated(settings: Any, variables: Any, options: Mapping[str, str]) -> None:
        try:
            validate(settings, variables, options)
        except ValidationError as error:
            first = error.errors()[0]
            name, value = first["loc"][0], first["input"]
            sys.exit(f"Error: --{name}={value} is not valid: {first['msg']}.")

    return validated


def _begin(manager: Any) -> str:
    """The first thing that every command asks for: where Terraform is.

    Returns:
        Terraform's path.
    """
    from covalent_braket_plugin.errors import BraketPluginError

    try:
        deployment = _open(manager)
    except BraketPluginError as error:  # Covalent would show a traceback
        sys.exit(f"Error: {error}")
    manager.deployment = deployment
    manager.executor_tf_path = str(deployment.workspace.directory)
    log = deployment.workspace.directory / "terraform-error.log"
    manager._terraform_log_env_vars = {"TF_LOG": "ERROR", "TF_LOG_PATH": str(log)}
    return deployment.terraform.program


def _open(manager: Any) -> Deployment:
    from covalent_braket_plugin.deploy.deployment import DEFAULTS, Deployment, settings_of
    from covalent_braket_plugin.deploy.models import ExecutorInfraDefaults
    from covalent_braket_plugin.errors import DeployError

    options: Mapping[str, str] = manager.executor_options or {}
    wrong = sorted(set(options) - set(ExecutorInfraDefaults.model_fields))
    if wrong:
        known = ", ".join(ExecutorInfraDefaults.model_fields)
        raise DeployError(f"--{wrong[0]} cannot be chosen when resources are made, but: {known}.")
    chosen = ExecutorInfraDefaults.model_validate(options).model_dump(exclude_unset=True)
    region = {"region": chosen["region"]} if chosen.get("region") else {}
    deployment = Deployment.of(DEFAULTS["name"], settings_of(region, _section()))
    workspace = deployment.workspace
    manager.chosen_before = workspace.variables()
    here = {"region": deployment.clients.region}
    workspace.prepare({**DEFAULTS, **workspace.variables(), **chosen, **here})
    if not workspace.exists:
        deployment.settle()
    return deployment


def _section() -> Mapping[str, object]:
    from covalent._shared_files.config import get_config

    try:
        section = get_config(SECTION)
    except KeyError:
        return {}
    return section if isinstance(section, dict) else {}


def _run(
    original: Callable[..., Any],
    manager: Any,
    cmd: str,
    env_vars: Mapping[str, str] | None = None,
    print_callback: Any = None,
) -> Any:
    environment = {**manager.deployment.terraform.environment, **(env_vars or {})}
    manager.applied = " apply " in cmd
    return original(manager, cmd, env_vars=environment, print_callback=print_callback)


def _update_config(original: Callable[..., Any], manager: Any, path: str) -> None:
    """Leave the file that Covalent reads the settings from, and let it.

    Those that the deployment says nothing of stay as they are in the configuration file.
    """
    values = manager.deployment.config_values()
    manager.deployment.remember_config(values, _section())
    deployed = ConfigParser(interpolation=None)
    deployed[EXECUTOR] = values
    with Path(path).open("w") as file:
        deployed.write(file)
    kept = manager.ExecutorPluginDefaults
    manager.ExecutorPluginDefaults = lambda **found: _OnlyThese(kept(**found))
    try:
        original(manager, path)
    finally:
        manager.ExecutorPluginDefaults = kept


class _OnlyThese:
    """Settings without those that have no value, in the form that Covalent asks for."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def dict(self) -> Mapping[str, Any]:
        values: Mapping[str, Any] = self._model.model_dump(exclude_none=True)
        return values


def _up(original: Callable[..., Any], manager: Any, *args: Any, **options: Any) -> None:
    manager.applied, manager.deployment = False, None
    try:
        original(manager, *args, **options)
    finally:
        if manager.deployment and not manager.applied:
            manager.deployment.workspace.put_variables(manager.chosen_before)


def _down(original: Callable[..., Any], manager: Any, *args: Any, **options: Any) -> None:
    from covalent._shared_files.config import set_config

    original(manager, *args, **options)
    restored = manager.deployment.config_to_restore(_section())
    set_config({f"{SECTION}.{name}": value for name, value in restored.items()})
    manager.deployment.forget()
