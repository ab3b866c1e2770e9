"""Reads CloudFormation templates, and works out their functions as CloudFormation would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Stack", "load"]

FOLDER = Path(__file__).parents[2] / "assets" / "cloudformation"
ABSENT = object()


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Knows the short forms of the functions: ``!Ref x`` is ``{"Ref": x}``."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


def load(name: str) -> dict[str, Any]:
    """Read a template, its functions in their long forms."""
    template: dict[str, Any] = yaml.load((FOLDER / name).read_text(), _Loader)
    return template


class Stack:
    """A template with values for its parameters.

    Args:
        name: The template's file.
        values: What its resources' names and attributes would be (``Bucket``, ``Role.Arn``) and
            the pseudo parameters (``AWS::Region``).
        parameters: Parameters, if not their defaults.
    """

    def __init__(self, name: str, values: Mapping[str, str], **parameters: object) -> None:
        self._template = load(name)
        defaults = {
            key: parameter["Default"]
            for key, parameter in self._template["Parameters"].items()
            if "Default" in parameter
        }
        assert parameters.keys() <= self._template["Parameters"].keys()
        self._values: dict[str, Any] = {**values, **defaults, **parameters}

    def resource(self, name: str) -> dict[str, Any] | None:
        """The properties of a resource; None if its condition does not hold."""
        resource = self._template["Resources"][name]
        if "Condition" in resource and not self._condition(resource["Condition"]):
            return None
        properties: dict[str, Any] = self._resolved(resource["Properties"])
        return properties

    def properties(self, name: str) -> dict[str, Any]:
        """The properties of a resource that is there."""
        found = self.resource(name)
        assert found is not None
        return found

    def _condition(self, name: str) -> bool:
        return bool(self._resolved(self._template["Conditions"][name]))

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            parts = (self._resolved(part) for part in value)
            return [part for part in parts if part is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._called(name, argument)
        found = {key: self._resolved(part) for key, part in value.items()}
        return {key: part for key, part in found.items() if part is not ABSENT}

    def _called(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return ABSENT if argument == "AWS::NoValue" else self._values[argument]
        if name == "Fn::GetAtt":
            return self._values[argument]
        if name == "Fn::Sub":
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: self._values[found[1]], argument)
        if name == "Fn::If":
            condition, then, otherwise = argument
            return self._resolved(then if self._condition(condition) else otherwise)
        if name == "Fn::Not":
            return not self._resolved(argument[0])
        if name == "Fn::Equals":
            left, right = (str(self._resolved(part)) for part in argument)
            return left == right
        raise AssertionError(f"a function that this does not know: {name}")
