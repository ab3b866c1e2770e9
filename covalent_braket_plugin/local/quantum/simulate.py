"""The program that runs circuits: ``python -m covalent_braket_plugin.local.quantum.simulate``.

One JSON request per line on stdin; on stdout one JSON line ``{"error", "successful_shots",
"length"}`` per request, followed by ``length`` bytes: what belongs into the task's
``results.json``. It ends when stdin does, even in the middle of a circuit, so that it never
outlives the server.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import IO

from braket.ir.openqasm import Program

from covalent_braket_plugin.local.quantum import circuits, results
from covalent_braket_plugin.local.quantum.results import Answer, Document

__all__ = ["main"]

WARM_UP_PROGRAM = """OPENQASM 3.0;
input float turn;
qubit[2] q;
h q[0];
rx(turn) q[1];
cnot q[0], q[1];
#pragma braket result expectation z(q[0])
"""


def _warm_up(_request: Document) -> Answer:
    """Take the slow first steps; returns what the simulators say of themselves, by name."""
    program = Program(source=WARM_UP_PROGRAM, inputs={"turn": 0.5})
    stated = {}
    for name in ("braket_sv", "braket_dm"):
        simulator = circuits.simulator(name)
        simulator.run(program, shots=0)
        stated[name] = json.loads(simulator.properties.json())
    return None, 0, json.dumps(stated).encode()


_ACTIONS: dict[str, Callable[[Document], Answer]] = {
    "run": circuits.run,
    "warm_up": _warm_up,
}


def _answer(request: Document) -> Answer:
    said = io.StringIO()
    try:
        # The parser tells only stderr what is wrong with a program.
        with contextlib.redirect_stderr(said):
            return _ACTIONS[request["do"]](request)
    except Exception as error:
        return results.failure_text(error, said.getvalue()), 0, b""


def main() -> None:
    """Answer requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    answers = _claim_stdout()
    requests: queue.SimpleQueue[Document] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        error, shots, body = _answer(requests.get())
        head = {"error": error, "successful_shots": shots, "length": len(body)}
        answers.write(json.dumps(head).encode() + b"\n" + body)
        answers.flush()


def _claim_stdout() -> IO[bytes]:
    """Keep stdout for answers; whatever prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _read(requests: queue.SimpleQueue[Document]) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
