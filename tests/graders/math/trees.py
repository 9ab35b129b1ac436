"""Formulas as trees, which can be written in several ways and evaluated, so that it is known which are equal."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Mapping
from typing import NamedTuple

TIMES = (" \\cdot ", " * ")
POINTS = ({"x": 0.7, "y": 1.9, "a": 2.3, "B": 1.3}, {"x": 1.7, "y": 0.6, "a": 0.4, "B": 2.9})


class Tree(NamedTuple):
    """`+`, `-`, `*`, `/`, `^`, a function, a number or an unknown, with its operands."""

    name: str
    parts: tuple[Tree, ...] = ()


def random_tree(rng: random.Random, depth: int = 3) -> Tree:
    if depth == 0 or rng.random() < 0.2:
        return Tree(rng.choice(["x", "y", "a", "B", "2", "3", "5", "7", "\\pi", "x"]))
    name = rng.choice(["+", "-", "*", "*", "/", "^", "sqrt", "sin", "cos", "ln", "abs"])
    if name == "^":
        return Tree("^", (random_tree(rng, depth - 1), Tree(rng.choice(["2", "3", "-1", "x"]))))
    count = 2 if name in "+-*/" else 1
    return Tree(name, tuple(random_tree(rng, depth - 1) for _ in range(count)))


def changed(rng: random.Random, tree: Tree) -> Tree:
    """The tree with one operand or operator changed, or the order of operands."""
    if tree.parts and rng.random() < 0.75:
        at = rng.randrange(len(tree.parts))
        return Tree(tree.name, (*tree.parts[:at], changed(rng, tree.parts[at]), *tree.parts[at + 1 :]))
    if not tree.parts:
        return Tree(rng.choice(["x", "y", "a", "b", "B", "2", "3", "4", "6"]))
    if len(tree.parts) == 2 and tree.name != "^":
        return rng.choice([Tree(rng.choice("+-*/"), tree.parts), Tree(tree.name, tree.parts[::-1]), tree.parts[0]])
    return rng.choice([Tree(rng.choice(["sin", "cos", "sqrt", "abs"]), tree.parts[:1]), tree.parts[0]])


def rearranged(rng: random.Random, tree: Tree) -> Tree:
    """An equal tree: operands exchanged where their order is free, differences written otherwise."""
    parts = tuple(rearranged(rng, part) for part in tree.parts)
    if tree.name in ("+", "*") and rng.random() < 0.5:
        parts = parts[::-1]
    if tree.name == "-" and rng.random() < 0.3:
        return Tree("+", (parts[0], Tree("*", (Tree("-1"), parts[1]))))
    if tree.name == "/" and rng.random() < 0.3:
        return Tree("*", (parts[0], Tree("^", (parts[1], Tree("-1")))))
    if tree.name == "sqrt" and rng.random() < 0.3:
        return Tree("^", (parts[0], Tree("/", (Tree("1"), Tree("2")))))
    if tree.name == "^" and parts[1].name == "2" and rng.random() < 0.5:
        return Tree("*", (parts[0], parts[0]))
    return Tree(tree.name, parts)


def value(tree: Tree, at: Mapping[str, float]) -> complex:
    """Raises ArithmeticError or ValueError where it has none."""
    parts = [value(part, at) for part in tree.parts]
    match tree.name:
        case "+":
            return parts[0] + parts[1]
        case "-":
            return parts[0] - parts[1]
        case "*":
            return parts[0] * parts[1]
        case "/":
            return parts[0] / parts[1]
        case "^":
            return parts[0] ** parts[1]
        case "sqrt":
            return parts[0] ** 0.5
        case "abs":
            return abs(parts[0])
        case "sin" | "cos":
            return (cmath.sin if tree.name == "sin" else cmath.cos)(parts[0])
        case "ln":
            return cmath.log(parts[0])
        case "\\pi":
            return math.pi
    return at.get(tree.name, 1.1) if tree.name.isalpha() else float(tree.name)


def latex(rng: random.Random, tree: Tree) -> str:
    """The tree in LaTeX, as people write it: with and without times signs, in brackets of several sizes."""
    parts = [latex(rng, part) for part in tree.parts]
    match tree.name:
        case "+" | "-":
            right = (
                parts[1]
                if tree.parts[1].name not in "+-" and not parts[1].startswith("-")
                else _bracketed(rng, parts[1])
            )
            return f"{parts[0]} {tree.name} {right}"
        case "*":
            left, right = (
                part if of.name not in ("+", "-") and not part.startswith("-") else _bracketed(rng, part)
                for of, part in zip(tree.parts, parts, strict=True)
            )
            bare = right[0] in "({\\" or (right[0].isalpha() and not left[-1].isalpha())
            return f"{left}{' ' if bare and rng.random() < 0.5 else rng.choice(TIMES)}{right}"
        case "/":
            return rng.choice(["\\frac{{{}}}{{{}}}", "\\dfrac{{{}}}{{{}}}"]).format(*parts)
        case "^":
            base = parts[0] if not tree.parts[0].parts and parts[0][0] != "-" else _bracketed(rng, parts[0])
            return f"{base}^{{{parts[1]}}}"
        case "sqrt":
            return f"\\sqrt{{{parts[0]}}}"
        case "abs":
            return f"\\left|{parts[0]}\\right|"
        case "sin" | "cos" | "ln":
            return f"\\{tree.name}{_bracketed(rng, parts[0])}"
    return tree.name


def _bracketed(rng: random.Random, text: str) -> str:
    return rng.choice(["({})", "\\left({}\\right)", "\\left( {} \\right)"]).format(text)


def values(tree: Tree) -> list[complex] | None:
    """Its values at `POINTS`; None where it has none, or too large ones."""
    try:
        found = [complex(value(tree, point)) for point in POINTS]
    except (ArithmeticError, ValueError):
        return None
    return found if all(1e-6 < abs(one) < 1e6 for one in found) else None


def differ(one: Tree, other: Tree) -> bool:
    """Whether they have values, and others."""
    first, second = values(one), values(other)
    return bool(first and second) and any(
        abs(a - b) > 1e-4 * max(abs(a), abs(b)) for a, b in zip(first or (), second or (), strict=True)
    )
