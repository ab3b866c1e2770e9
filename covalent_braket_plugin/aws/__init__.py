"""The only maker of boto3 clients and the only translator of botocore's errors."""

from __future__ import annotations

from covalent_braket_plugin.aws.clients import Clients, clients_for
from covalent_braket_plugin.aws.translation import translated

__all__ = ["Clients", "clients_for", "translated"]
