#!/opt/venv/bin/python
"""Start the worker in the image's own environment, whichever Python and way this was started by.

SageMaker runs it as `train`. sagemaker-training runs it with a Python of its own, and with the
hyperparameters as arguments; the worker reads them from their file.
"""

import os

PYTHON = "/opt/venv/bin/python"

os.execv(PYTHON, [PYTHON, "-m", "covalent_braket_plugin.worker", "train"])
