"""Sums as documents write them, worked out: ``40 x (102.00 - 100.00) = 80.00``, with ``%``, ``^`` and ``sqrt``."""

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?(?: %)?")


@dataclass(frozen=True)
class Sum:
    """A line ``name = expression = ... = value``."""

    name: str
    expressions: tuple[str, ...]
    value: str

    @property
    def number(self) -> float:
        """What the value says."""
        return evaluate(self.value)

    @property
    def precision(self) -> float:
        """Half of the last digit that is written, and what binary fractions cost."""
        decimals = len(self.value.removesuffix(" %").partition(".")[2]) + (2 if self.value.endswith("%") else 0)
        return 0.5 * 10.0**-decimals * (1 + 1e-9)

    def is_same(self, number: float) -> bool:
        """Whether a number is the value, as far as it is written."""
        return abs(number - self.number) <= self.precision


def read_sum(line: str) -> Sum:
    """The parts of a line; ``ValueError`` when it is none of that form."""
    name, *expressions, value = line.strip().split(" = ")
    if not expressions or not NUMBER.fullmatch(value):
        raise ValueError(f"no sum with a name, an expression and a value: {line!r}")
    return Sum(name, tuple(expressions), value)


def evaluate(expression: str) -> float:
    """The number that an expression comes to; ``ValueError`` for anything but numbers, signs and roots."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", expression)
    plain = re.sub(r"(\d+(?:\.\d+)?) %", r"(\1 * 0.01)", plain)
    return _value(ast.parse(plain.replace(" x ", " * ").replace("^", "**"), mode="eval").body)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        return BINARY[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sqrt":
        (argument,) = node.args
        return math.sqrt(_value(argument))
    raise ValueError(f"not arithmetic: {ast.dump(node)}")
