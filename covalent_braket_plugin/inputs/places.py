"""One entry of the setting `input_data`, and how it is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from covalent_braket_plugin.errors import SettingError

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """Where the data of a channel is.

    Attributes:
        channel: The channel's name.
        given: What the setting says: a path or an S3 URI.
    """

    channel: str
    given: str

    @property
    def is_remote(self) -> bool:
        """Whether it is in S3."""
        return self.given.startswith("s3://")

    @property
    def path(self) -> Path:
        """The local path."""
        return Path(os.path.expanduser(self.given))

    def refusal(self, rule: str, fix: str) -> SettingError:
        """Say why the data cannot be used, and what helps."""
        return SettingError(f"input_data[{self.channel!r}]", self.given, rule, fix)
