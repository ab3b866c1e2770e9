"""Run the electrons of a Covalent workflow as Amazon Braket Hybrid Jobs.

This package imports nothing of its own here: the worker imports it inside the job's
container, where neither Covalent nor the Braket SDK need be installed.
"""

__version__ = "1.0.0a1"
