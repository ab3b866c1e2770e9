"""Looks at a set-up before an electron does: each check gives data, and says what to do."""

from __future__ import annotations

from covalent_braket_plugin.doctor.checks import CHECKS, TRIAL, Check, examine
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Finding

__all__ = ["CHECKS", "TRIAL", "Check", "Exam", "Finding", "examine"]
