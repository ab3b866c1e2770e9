"""Input data: looked at before anything is sent, and brought to S3 once per content.

`channels` goes through the setting `input_data`, `contents` reads local files, `uploads` brings
them to S3, `remote` looks at what users have there.
"""

from __future__ import annotations

from covalent_braket_plugin.inputs.channels import bring, bring_again, look
from covalent_braket_plugin.inputs.uploads import Target

__all__ = ["Target", "bring", "bring_again", "look"]
