"""OpenQASM 2 and 3, read by Braket's own interpreter into one of Braket's circuits.

What Braket does not take is refused here, with its line, before anything is sent: measurements in
the middle of a program, what depends on them, and parameters without a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from covalent_braket_plugin.errors import ProgramError
from covalent_braket_plugin.execution.gates import DEFINITIONS, PHASED

if TYPE_CHECKING:
    from braket.circuits import Circuit

__all__ = ["circuit_of"]

LIBRARIES = ("qelib1.inc", "stdgates.inc")
MOST_QUBITS = 1000
"""No device has so many; each is written down, so that a typing error would fill the memory."""
MOST_STEPS = 1_000_000
"""Of statements and of loops, which are unrolled: some ten minutes."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION = re.compile(r"\A\s*OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
_INCLUDE = re.compile(r'\binclude\s+"([^"]*)"\s*;')
_DEFINED = re.compile(r"\bgate\s+(\w+)")
_CONTROLLED = re.compile(r"\b(?:neg)?ctrl\b[^;{}]*@\s*(\w+)")
_ODD = re.compile(r"[?`\\]")
_OPAQUE = re.compile(r"\bopaque\b[^;]*;")


def circuit_of(text: str, inputs: Mapping[str, float] | None = None) -> Circuit:
    """Read a program.

    A program that measures nothing and asks for no results is measured on all its qubits. Bits
    come in the order in which registers are declared, and by index in each.

    Args:
        text: OpenQASM 2 or 3, with ``qelib1.inc`` or ``stdgates.inc`` or without.
        inputs: Values for what it declares as ``input``.

    Raises:
        ProgramError: It is no such program, or does what Braket does not take; the text names
            the line.
    """
    return _Reading(_for_braket(text), dict(inputs or {})).circuit()


def _for_braket(text: str) -> str:
    """Write it in Braket's OpenQASM, every statement on the line on which it was.

    Raises:
        ProgramError: It is of another version, or includes a file.
    """
    text = _COMMENT.sub(_blank, text)
    if odd := _ODD.search(text):  # the parser would pass over it
        line = text.count("\n", 0, odd.start()) + 1
        raise ProgramError(f"Line {line}: {odd[0]!r} is not OpenQASM.")
    found = _VERSION.match(text)
    version = found[1] if found else "3"
    if version not in ("2", "3"):
        raise ProgramError(f"It is OpenQASM {version}; versions 2 and 3 can be run.")
    text = _INCLUDE.sub(lambda include: _included(text, include), text)
    body = text[found.end() :] if found else text
    before = "\n" * (text[: found.end()].count("\n") if found else 0)
    if version == "2":
        body = _OPAQUE.sub(_blank, body).replace("^", "**")
        body = re.sub(r"\bln\s*\(", "log(", body)
    return f"{before}OPENQASM 3.0; {_library(body)}{body}"


def _included(text: str, include: re.Match[str]) -> str:
    if include[1] not in LIBRARIES:
        line = text.count("\n", 0, include.start()) + 1
        raise ProgramError(
            f"Line {line}: it includes {include[1]!r}. The file does not go with the program: put "
            f"what is used of it into the program itself. Known are {' and '.join(LIBRARIES)}."
        )
    return _blank(include)


def _blank(found: re.Match[str]) -> str:
    """Leave the lines of what is taken away."""
    return " " + "\n" * found[0].count("\n")


def _library(body: str) -> str:
    """Define the gates that are used and come from a standard library."""
    own = set(_DEFINED.findall(body))
    controlled = set(_CONTROLLED.findall(body))
    if "U" in controlled:
        own.add("U")
    for name in controlled:
        if name in PHASED - own:
            raise ProgramError(
                f"`ctrl @ {name}` needs the phase of {name}, which Braket's gates leave out: use "
                "`ctrl @ U` or cu3."
            )
    used = set(re.findall(r"\w+", body)) - own
    return " ".join(text for name, text in DEFINITIONS.items() if name in used)


class _Reading:
    """Interprets a program; keeps the line, and what is measured into which bit."""

    def __init__(self, text: str, inputs: dict[str, float]) -> None:
        self._text = text
        self._inputs = inputs
        self._line = 1
        self._steps = 0
        self._registers: list[str] = []
        self._qubits: list[int] = []
        self._measured: dict[tuple[str, int], int] = {}

    def circuit(self) -> Circuit:
        """Do it.

        Raises:
            ProgramError: It cannot be run.
        """
        from braket.default_simulator.openqasm.parser.openqasm_parser import QASM3ParsingError

        unknown = set(self._inputs) - set(re.findall(r"\binput\b[^;]*?(\w+)\s*;", self._text))
        if unknown:
            raise ProgramError(f"It has no input {', '.join(sorted(unknown))}.")
        try:
            built = self._interpret()
        except ProgramError:
            raise
        except QASM3ParsingError as error:
            raise ProgramError(_where_it_broke(error)) from error
        except Exception as error:  # the interpreter has no errors of its own
            raise ProgramError(f"Line {self._line}: {_words(error)}") from error
        return self._measuring(built)

    def _interpret(self) -> Circuit:
        from braket.circuits.braket_program_context import BraketProgramContext
        from braket.default_simulator.openqasm.interpreter import Interpreter

        reading = self

        class Watched(Interpreter):  # type: ignore[misc]
            def visit(self, node: Any) -> Any:
                reading.look_at(node, self.context.in_global_scope)
                visited = super().visit(node)
                reading.look_at_range(visited)
                return visited

        class Context(BraketProgramContext):  # type: ignore[misc]
            def add_qubits(self, name: str, num_qubits: int | None = 1) -> None:
                reading.demand_few(len(reading._qubits) + (num_qubits or 1), MOST_QUBITS, "qubits")
                super().add_qubits(name, num_qubits)
                reading._qubits += self.get_qubits(_identifier(name))

            def add_measure(
                self, target: Any, classical_targets: Any = None, **others: Any
            ) -> None:
                super().add_measure(target, classical_targets, **others)
                reading.measure(target, classical_targets)

        return Watched(Context()).build_circuit(self._text, self._inputs, is_file=False)

    def look_at(self, node: Any, outermost: bool) -> None:
        """Note where the interpreter is, and refuse what reads a measured bit.

        Raises:
            ProgramError: It does.
        """
        from braket.default_simulator.openqasm.parser import openqasm_ast as ast

        if isinstance(node, ast.Statement) and outermost and node.span:
            self._line = node.span.start_line
        if isinstance(node, ast.Statement):
            self._steps += 1
            self.demand_few(self._steps, MOST_STEPS, "steps")
        if isinstance(node, ast.QuantumMeasurementStatement):
            target = node.target
            name = getattr(target, "name", "") if target is not None else ""
            self._into = str(getattr(name, "name", name))
        elif isinstance(node, ast.ClassicalDeclaration) and isinstance(node.type, ast.BitType):
            self._registers.append(node.identifier.name)
        elif isinstance(node, ast.QuantumReset):
            raise ProgramError(f"Line {self._line}: `reset` in a program {_NO_FEEDBACK}")
        elif isinstance(node, ast.Identifier) and node.name in {name for name, _ in self._measured}:
            raise ProgramError(
                f"Line {self._line}: what follows depends on {node.name}, which was measured; that "
                + _NO_FEEDBACK
            )

    def look_at_range(self, node: Any) -> None:
        """Refuse a loop that would not come to its end, before its steps are written down.

        Raises:
            ProgramError: It has too many steps.
        """
        from braket.default_simulator.openqasm.parser import openqasm_ast as ast

        if isinstance(node, ast.RangeDefinition):
            first, last, step = (
                getattr(e, "value", None) for e in (node.start, node.end, node.step)
            )
            if last is not None and step != 0:
                self.demand_few(abs(last - (first or 0)) // abs(step or 1), MOST_STEPS, "steps")

    def demand_few(self, number: int, most: int, what: str) -> None:
        """Refuse what no device could run, and what would take for ever to read.

        Raises:
            ProgramError: It is too much.
        """
        if number > most:
            raise ProgramError(f"Line {self._line}: it has more than {most} {what}.")

    def measure(self, qubits: Any, bits: Any) -> None:
        """Note a measurement.

        Raises:
            ProgramError: Its bit has been written before.
        """
        for number, qubit in enumerate(qubits):
            place = self._into, (bits[number] if bits else number)
            if place in self._measured:
                raise ProgramError(
                    f"Line {self._line}: bit {place[0]}[{place[1]}] is measured into a second time."
                )
            self._measured[place] = int(qubit)

    def _measuring(self, built: Circuit) -> Circuit:
        """Put the measurements at the end, in the order of the bits."""
        from braket.circuits import Circuit, Gate
        from braket.circuits.measure import Measure

        if built.result_types:
            return built
        known = {name: number for number, name in enumerate(self._registers)}
        places = sorted(self._measured, key=lambda place: (known.get(place[0], -1), place))
        qubits = [self._measured[place] for place in places] or self._qubits or list(built.qubits)
        if not qubits:
            raise ProgramError("It has no qubits.")
        made = Circuit()
        for each in built.instructions:
            phase = isinstance(each.operator, Gate.GPhase) and not each.control
            if not phase and not isinstance(each.operator, Measure):  # nobody sees the phase
                made.add_instruction(each)
        return made.measure(qubits)


_NO_FEEDBACK = (
    "is not sent to devices here: what is done in the middle of a program by what was measured. "
    "Measure at the end, and decide in Python."
)


def _identifier(name: str) -> Any:
    from braket.default_simulator.openqasm.parser.openqasm_ast import Identifier

    return Identifier(name)


def _where_it_broke(error: BaseException) -> str:
    """Name the place at which the parser gave up."""
    cause: Any = error.__cause__
    inner = cause.args[0] if cause is not None and cause.args else cause
    token = getattr(inner, "offendingToken", None)
    if token is None:
        return "It is not OpenQASM: the parser does not say where it gave up."
    found = "the end" if token.text == "<EOF>" else repr(token.text)
    return f"Line {token.line}, column {token.column + 1}: {found} is not OpenQASM there."


def _words(error: Exception) -> str:
    text = str(error).strip("'\" ") or type(error).__name__
    if "measured qubits" in text:
        return f"a gate on a qubit that was measured {_NO_FEEDBACK}"
    return text if text.endswith(".") else f"{text}."
