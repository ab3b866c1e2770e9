"""Input data that every electron gets: it has to be there, and where jobs can read it."""

from __future__ import annotations

from covalent_braket_plugin import inputs
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok
from covalent_braket_plugin.errors import SettingError

__all__ = ["input_data"]


def input_data(exam: Exam) -> Result:
    """See whether the data in the setting `input_data` is there."""
    given = exam.settings.input_data
    if not given:
        return ok("none is set")
    try:
        inputs.look(given, inputs.Target(exam.storage, exam.scope.bucket, exam.settings.s3_prefix))
    except SettingError as error:
        return failed(f"{error.setting}={error.value!r}: {error.rule}", error.fix)
    return ok(", ".join(f"{channel}: {place}" for channel, place in given.items()))
