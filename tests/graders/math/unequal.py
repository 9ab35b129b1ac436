"""Pairs of a gold and an answer that is another one: a digit, a unit, an operand, an order was changed.

A kind is a function of a random generator. By chance it may give the same text twice; `unequal_pair` tries again then.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

from tests.graders.math.trees import changed, differ, latex, random_tree

Pair = tuple[str, str]
Kind = Callable[[random.Random], Pair]

UNITS = ["km", "m", "cm", "mm", "kg", "g", "mg", "hours", "minutes", "seconds", "days", "dollars", "cents", "feet",
    "miles",
         "m/s", "km/h", "m^2", "m^3", "degrees", "pounds", "gallons", "liters"]  # fmt: skip
NOUNS = [
    "apples",
    "pears",
    "boys",
    "girls",
    "books",
    "pages",
    "cars",
    "eggs",
    "red marbles",
    "blue marbles",
    "children",
]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November",
          "December"]  # fmt: skip
WORDS = ["even", "odd", "red", "blue", "yes", "no", "Tuesday", "Sunday", "New York", "York", "increasing",
    "decreasing", "Anna",
         "Hanna", "on", "god", "dog", "stop", "pots", "true", "false", "acute", "obtuse", "north",
         "south"]  # fmt: skip
#: What takes a number back, changes it, or adds another one.
CHANGES = [
    "{} (or {})", "{} or {}", "{}, maybe {}", "about {}", "not {}", "{} or more", "at least {}", "{} to {}",
    "{}-{}", "{}/{}",
    "{} perhaps seven", "{} sevenths", "{} crore", "{} million", "{} thousand", "{} hundred", "{} dozen", "{} halves",
    "{} squared", "{} more than x", "{} minus {}", "{} plus {}", "{} = {}", "{} and a half", "{} tenths",
    "{} factorial",
    "{} pi", "{}x", "{} x", "x^{}", "{} < x", "x > {}", "{}!", "{}^2", "{} mod {}", "minus {}", "{} percent of {}",
    "{},{}",
    "{} and {}", "{} score", "{} gross", "{} less", "{} fewer apples", "{} too many apples", "almost {}", "{} or so",
    "{} dozens", "{} lakh", "{} twelfths", "{} hundredths of apples", "{} below zero", "{} negative", "{} not {}",
    "{} {}",
    "{} squares of {}", "{} times {}", "under {}", "{} nines", "{} half", "{} couples", "{} minus one", "{}i",
    "{}\\pi",
    "\\sqrt{{{}}}", "\\frac{{1}}{{{}}}", "[{}, {}]", "({}, {})", "\\{{{}, {}\\}}", "{} \\pm {}",
    "{} \\text{{ or }} {}", "{}_8",
    "{}^\\circ {}", "{} million dollars", "{} thousandths", "{} e {}", "{} point five", "{} ninths", "{} wrong",
    "{} unless {}",
    "-{}", "{}0", "{}.5", "{}%{}", "{}:{}", "{}.{}.1", "1{}", "{} billion", "{}\\text{{ million}}", "{} \\times 10",
    "{}e1", "{} B",
]  # fmt: skip


def other(rng: random.Random, value: int) -> int:
    """Another number: a digit more, less or changed, two exchanged, the sign."""
    digits = str(abs(value))
    at = rng.randrange(len(digits))
    swapped = digits[:at] + digits[at + 1 : at + 2] + digits[at] + digits[at + 2 :]
    changed = rng.choice([
        digits[:at] + str((int(digits[at]) + rng.randint(1, 9)) % 10) + digits[at + 1 :], swapped, digits + "0",
        digits[:-1] or "11", str(value + rng.choice([-1, 1, 10, -10])), f"-{digits}",
    ])  # fmt: skip
    return int(changed)


def other_than(rng: random.Random, value: int) -> int:
    while abs(said := other(rng, value)) == abs(value) and said == value:
        pass
    return said


def _two(rng: random.Random, items: list[str]) -> list[str]:
    return rng.sample(items, 2)


def _shuffled(rng: random.Random, items: list[str]) -> list[str]:
    return rng.sample(items, len(items))


def integers(rng: random.Random) -> Pair:
    value = rng.choice([rng.randint(1, 99), rng.randint(100, 10**6), rng.randint(10**8, 10**14)])
    said = other_than(rng, value)
    return rng.choice(["{}", "{:,}", "${}$", "${:,}", "x = {}", "{}.0"]).format(value), rng.choice(
        ["{}", "{:,}", "${}$", "\\${:,}", "x = {}", "{}.00", "{}.0000000000", "\\text{{{}}}", "{} dollars"]
    ).format(said)


def decimals(rng: random.Random) -> Pair:
    places = rng.randint(1, 12)
    value = rng.randint(1, 10 ** (places + 3))
    gold, said = (f"{v // 10**places}.{v % 10**places:0{places}d}" for v in (value, abs(other_than(rng, value))))
    return gold, said


def fractions(rng: random.Random) -> Pair:
    a, b = rng.sample(range(2, 41), 2)
    c, d = rng.choice([(b, a), (a + 1, b), (a, b + 1), (-a, b), (10 * a, b)])
    styles = ["\\frac{{{}}}{{{}}}", "{}/{}", "\\dfrac{{{}}}{{{}}}"]
    said = rng.choice([rng.choice(styles).format(c, d), f"{a / b + 10.0 ** -rng.randint(1, 9):.12f}"])
    return rng.choice(styles).format(a, b), said


def mixed_numbers(rng: random.Random) -> Pair:
    a, b, c = rng.sample(range(2, 10), 3)
    return f"{a}\\frac{{{b}}}{{{c}}}", rng.choice(["{}\\frac{{{}}}{{{}}}", "{} {}/{}"]).format(
        *rng.choice([(b, a, c), (a, c, b), (a + 1, b, c)])
    )


def scientific(rng: random.Random) -> Pair:
    a, b = rng.randint(11, 99), rng.randint(2, 20)
    style = rng.choice(["{}.{} \\times 10^{{{}}}", "{}.{}e{}", "{}.{} x 10^{}"])
    c, d = rng.choice([(a, b + 1), (a + 1, b), (a, -b), (a % 10 * 10 + a // 10 + (a % 11 == 0), b)])
    return f"{a // 10}.{a % 10} \\times 10^{{{b}}}", style.format(c // 10, c % 10, d)


def percents(rng: random.Random) -> Pair:
    a = rng.randint(2, 99)
    return f"{a}\\%", rng.choice(
        [f"{other_than(rng, a)}\\%", f"{a}^\\circ", f"0.{a * 10 + 5}", f"{a} cm", f"{a}0 percent", f"{a}:100"]
    )


def money(rng: random.Random) -> Pair:
    a = rng.randint(2, 9999)
    golds, answers = (
        ["\\${}", "{} dollars", "USD {}"],
        ["€{}", "£{}", "{} euros", "{} cents", "{} million dollars", "{} yen", "Rs. {}"],
    )
    if rng.random() < 0.5:
        return rng.choice(golds).format(a), rng.choice(answers).format(a)
    return rng.choice(golds).format(a), rng.choice(golds).format(other_than(rng, a))


def quantities(rng: random.Random) -> Pair:
    a, (unit, another) = rng.randint(1, 999), _two(rng, UNITS)
    style = rng.choice(["{} {}", "{}\\text{{ {}}}", "{} \\mathrm{{{}}}"])
    said = rng.choice(
        [(a, another), (a, another), (other_than(rng, a), unit), (a, f"{unit} per {another}"), (a, f"square {unit}")]
    )
    return style.format(a, unit), style.format(*said)


def counted(rng: random.Random) -> Pair:
    a, (noun, another) = rng.randint(1, 999), _two(rng, NOUNS)
    return f"{a} {noun}", rng.choice(
        [f"{a} {another}", f"{a + rng.randint(1, 99)} {noun}", f"{a} {another} each", f"{a} dozen {noun}"]
    )


def changed_by_words(rng: random.Random) -> Pair:
    a = rng.randint(2, 99)
    return str(a), rng.choice(CHANGES).format(a, rng.choice([a + 1, a + 2, a * 10]))


def in_parts(rng: random.Random) -> Pair:
    first, second, most = rng.choice([
        ("hours", "minutes", 59), ("feet", "inches", 11), ("m", "cm", 99), ("lb", "oz", 15), ("minutes", "seconds",
        59),
        ("km", "m", 999), ("dollars", "cents", 99), ("weeks", "days", 6),
    ])  # fmt: skip
    a, b = rng.randint(1, 20), rng.randint(1, most)
    style = rng.choice(["{} {} {} {}", "{} {} and {} {}", "{} \\text{{ {} }} {} \\text{{ {}}}"])
    said = rng.choice(
        [(b, first, a, second), (a + 1, first, b, second), (a, second, b, first), (a, first, b + 1, second)]
    )
    return style.format(a, first, b, second), style.format(*said)


def with_names(rng: random.Random) -> Pair:
    (one, two), (a, b) = _two(rng, NOUNS), rng.sample(range(2, 30), 2)
    style = rng.choice(["{} {} and {} {}", "{} {}, {} {}"])
    return style.format(a, one, b, two), style.format(
        *rng.choice([(b, one, a, two), (a, two, b, one), (a, one, b + 1, two)])
    )


def places(rng: random.Random) -> Pair:
    style = rng.choice([
        "{} tens {} ones", "seat {} row {}", "{} out of {}", "{} remainder {}", "{} to {}", "{} goals to {}",
        "page {} line {}",
        "room {}, floor {}", "{} wins, {} losses", "{} of {}", "{} in {}", "{} per {}", "{} R {}", "{} for {}",
        "chapter {} verse {}",
        "between {} and {}", "from {} to {}", "{} by {}", "{} \\times {}", "{} vs {}", "{} divided by {}",
        "{} more than {}",
    ])  # fmt: skip
    a, b = rng.sample(range(2, 60), 2)
    return style.format(a, b), style.format(*rng.choice([(b, a), (a + 1, b), (a, b + 1), (a + 1, b + 1)]))


def codes(rng: random.Random) -> Pair:
    parts = [str(rng.randint(1, 30)) for _ in range(rng.randint(2, 4))]
    joint = rng.choice(["-", "-", ".", "/", " - ", "–", ":"])
    said = rng.choice(
        [
            _shuffled(rng, parts),
            [str(int(parts[0]) + 2), *(str(int(part) + 1) for part in parts[1:])],
            [*parts[:-1], str(int(parts[-1]) + 1)],
        ]
    )
    return joint.join(parts), joint.join(said)


def dates(rng: random.Random) -> Pair:
    style = rng.choice([
        lambda y, m, d: f"{y}-{m:02d}-{d:02d}", lambda y, m, d: f"{m}/{d}/{y}", lambda _, m,
            d: f"{MONTHS[m - 1]} {d}",
        lambda y, m, d: f"{MONTHS[m - 1]} {d}, {y}", lambda _, m, d: f"{d} {MONTHS[m - 1]}", lambda y, m,
            d: f"{y}/{m}/{d}",
        lambda _, m, d: f"the {d}th of {MONTHS[m - 1]}", lambda y, m, _: f"{MONTHS[m - 1]} {y}",
        lambda y, m, d: f"{d:02d}.{m:02d}.{y}",
    ])  # fmt: skip
    y, m, d = rng.randint(1900, 2030), rng.randint(1, 12), rng.randint(1, 12)
    y, m, d, e, f, g = *(y, m, d), *rng.choice([(y, d, m), (y + 1, m, d), (y, m, d + 1), (y, m % 12 + 1, d)])
    products = [(y, m, d), (y, 2 * m, d // 2)] if d % 2 == 0 and 2 * m <= 12 else [(e, f, g)]
    return style(y, m, d), style(*rng.choice([products[-1], (e, f, g)]))


def times(rng: random.Random) -> Pair:
    h, m = rng.randint(1, 12), rng.randint(0, 59)
    half, another = rng.choice([("AM", "PM"), ("PM", "AM"), ("a.m.", "p.m.")])
    if rng.random() < 0.4:
        return f"{h}:{m:02d}", rng.choice(
            [f"{h % 12 + 1}:{m:02d}", f"{h}:{(m + 1) % 60:02d}", f"{m}:{h:02d}", f"{h}.{m:02d}"]
        )
    return f"{h}:{m:02d} {half}", rng.choice(
        [f"{h}:{m:02d} {another}", f"{h % 12 + 1}:{m:02d} {half}", f"{h}:{(m + 1) % 60:02d} {half}", f"{h}:{m:02d}"]
    )


def ratios(rng: random.Random) -> Pair:
    parts = [str(part) for part in rng.sample(range(1, 30), rng.randint(2, 3))]
    said = rng.choice([_shuffled(rng, parts), [*parts[:-1], str(int(parts[-1]) + 1)]])
    joint = rng.choice([":", " : ", " to "])
    return ":".join(parts), joint.join(said)


def letters(rng: random.Random) -> Pair:
    a, b = _two(rng, list("ABCDEF"))
    gold = rng.choice(["{}", "({})", "\\text{{({})}}", "{})"]).format(a)
    return gold, rng.choice([
        "{1}", "({1})", "({0}) or {1}", "({0}) or ({1})", "{0} or {1}", "{0}, {1}", "({0}), ({1})", "{0} and {1}",
        "{0}/{1}", "{0}{1}",
        "\\textbf{{({1})}}", "Option {1}", "not {0}", "({0}) maybe ({1})", "({0}) and ({1})", "{0} & {1}",
        "({1}) 5", "{0} or maybe {1}",
        "either {0} or {1}", "neither {0} nor {1}", "{0}^2", "{0}+{1}", "({0}) is wrong", "{0}'", "\\{{{0}, {1}\\}}",
    ]).format(a, b)  # fmt: skip


#: The sign of a relation that is not that of a bracket.
_OPEN = {"(": "\\le", "[": "<", ")": "\\le", "]": "<"}


def intervals(rng: random.Random) -> Pair:
    a, b = sorted(rng.sample(range(-20, 20), 2))
    left, right = rng.choice("(["), rng.choice(")]")
    gold = f"{left}{a}, {b}{right}"
    said = rng.choice([
        f"{'[' if left == '(' else '('}{a}, {b}{right}", f"{left}{a}, {b}{']' if right == ')' else ')'}",
        f"{left}{a}, {b + 1}{right}",
        f"{left}{a - 1}, {b}{right}", f"{left}{b}, {a}{right}", f"{left}{-b}, {-a}{right}" if (a, b) != (-b,
        -a) else "(1, 99)",
        f"{a} {_OPEN[left]} x {_OPEN[right]} {b}", f"{a}", f"{a}, {b}", f"x > {a}",
        f"(-\\infty, {a}) \\cup ({b}, \\infty)", f"{left}{a}, \\infty)", f"{a}-{b}", f"\\{{{a}, {b}\\}}",
    ])  # fmt: skip
    return gold, said


def relations(rng: random.Random) -> Pair:
    signs = ["<", ">", "\\le", "\\ge", "\\ne", "="]
    sign, another = rng.sample(signs, 2)
    a = rng.randint(-20, 20)
    return f"x {sign} {a}", rng.choice(
        [
            f"x {another} {a}",
            f"x {sign} {a + 1}",
            f"y {sign} {a}",
            f"{a} {another if another in '=' else '<' if sign != '>' else '>'} x",
        ]
    )


def unions(rng: random.Random) -> Pair:
    a, b, c, d = sorted(rng.sample(range(-30, 30), 4))
    gold = f"({a}, {b}) \\cup ({c}, {d})"
    return gold, rng.choice([
        f"({a}, {c}) \\cup ({b}, {d})", f"({a}, {d})", f"({a}, {b}] \\cup ({c}, {d})", f"({a}, {b}) \\cap ({c}, {d})",
        f"({a}, {b}), ({c}, {d})", f"({a}, {b}) \\cup ({c}, {d + 1})", f"({a}, {b})", f"x < {b} or x > {c}",
    ])  # fmt: skip


def sets(rng: random.Random) -> Pair:
    items = [str(item) for item in rng.sample(range(-20, 50), rng.randint(2, 5))]
    style = rng.choice(["\\{{{}\\}}", "{}"])
    said = rng.choice([items[:-1], [*items[:-1], str(int(items[-1]) + 100)], [*items, "99"], [*items[:-1], "-99"]])
    return style.format(", ".join(items)), style.format(", ".join(_shuffled(rng, said)))


def rows(rng: random.Random) -> Pair:
    items = rng.sample(
        ["0", "1", "2", "-3", "\\frac{1}{2}", "\\sqrt{2}", "\\pi", "x", "2x", "7", "a+b"], rng.randint(2, 4)
    )
    said = rng.choice([_shuffled(rng, items), [*items[:-1], "11"], items[:-1] or ["5"], [*items, "1"]])
    return f"({', '.join(items)})", rng.choice(["({})", "({})", "[{}]", "\\{{{}\\}}", "{}"]).format(
        ", ".join(said)
    ) if len(said) > 1 else "11"


def rows_of_rows(rng: random.Random) -> Pair:
    a, b, c, d = rng.sample(range(-9, 20), 4)
    return f"({a},{b}),({c},{d})", rng.choice(
        [f"({a},{d}),({c},{b})", f"({b},{a}),({d},{c})", f"({a},{b})", f"({a},{b}),({c},{d + 1})"]
    )


def matrices(rng: random.Random) -> Pair:
    a, b, c, d = (str(item) for item in rng.sample(range(-9, 20), 4))
    style = "\\begin{{{0}}} {1} & {2} \\\\ {3} & {4} \\end{{{0}}}".format
    said = rng.choice([(a, c, b, d), (b, a, c, d), (a, b, d, c), (a, b, c, f"{d}1")])
    return style("pmatrix", a, b, c, d), rng.choice(
        [style("pmatrix", *said), style("bmatrix", *said), style("vmatrix", a, b, c, d)]
    )


def named(rng: random.Random) -> Pair:
    (x, y), (a, b) = _two(rng, list("xyzabn")), rng.sample(range(-20, 20), 2)
    return f"{x} = {a}, {y} = {b}", rng.choice([
        f"{x} = {b}, {y} = {a}", f"{b}, {a}", f"{x} = {a}", f"{x} = {a}, {y} = {b + 1}", f"({x}, {y}) = ({b}, {a})",
        f"{x} + {y} = {a + b}",
    ])  # fmt: skip


#: Formulas with operands, and what they are changed to: another operand, operator, order.
FORMULAS = [
    ("H_{a}O", ["H_{b}O", "HO_{a}", "O_{a}H", "H_{a}", "HO", "{a}HO"]),
    ("{a}x^{b} + {c}", ["{c}x^{b} + {a}", "{a}x^{c} + {b}", "{a}x^{b} - {c}", "{a}y^{b} + {c}", "{a}x^{b}",
    "({a}x)^{b} + {c}"]),
    ("\\sqrt{{{a}}} + {b}", ["\\sqrt{{{b}}} + {a}", "\\sqrt[3]{{{a}}} + {b}", "\\sqrt{{{a} + {b}}}",
    "\\sqrt{{{a}}} - {b}"]),
    ("{a}\\sqrt{{{b}}}", ["{b}\\sqrt{{{a}}}", "{a}{b}", "\\sqrt{{{a}}}", "{a} + \\sqrt{{{b}}}", "-{a}\\sqrt{{{b}}}"]),
    ("\\frac{{{a}x + {b}}}{{{c}}}", ["\\frac{{{b}x + {a}}}{{{c}}}", "\\frac{{{c}}}{{{a}x + {b}}}",
    "{a}x + \\frac{{{b}}}{{{c}}}"]),
    ("{a}\\pi r^2 h", ["{a}\\pi r^2", "{a}\\pi r h", "{a}\\pi r^2 h^2", "{a}\\pi", "{b}\\pi r^2 h", "{a}\\pi R^2 h",
    "{a}r^2 h"]),
    ("\\frac{{1}}{{{a}}} m v^2", ["\\frac{{1}}{{{a}}}", "\\frac{{1}}{{{a}}} m v", "\\frac{{1}}{{{a}}} m",
    "\\frac{{1}}{{{b}}} m v^2"]),
    ("\\cos {a}^\\circ", ["\\cos {a}", "\\sin {a}^\\circ", "\\cos {b}^\\circ", "-\\cos {a}^\\circ", "{a}^\\circ"]),
    ("\\log_{{{a}}} {b}", ["\\log_{{{b}}} {a}", "\\log_{{{a}}} (-{b})", "\\log_{{{a}}} {c}", "\\ln {b}"]),
    ("f(x + {a})", ["f(x - {a})", "f(x) + {a}", "g(x + {a})", "f'(x + {a})", "F(x + {a})", "f(x + {b})"]),
    ("f'(x)", ["f(x)", "f''(x)", "g'(x)", "f'(y)", "f"]), ("y' + {a}y", ["y + {a}y", "y'' + {a}y", "y' - {a}y",
    "{a}y"]),
    ("{a} + {b}i", ["{b} + {a}i", "{a} - {b}i", "{a} + {b}", "{a} + {b}j"]), ("{a}^{{{b}}}x", ["{b}^{{{a}}}x",
    "{a}{b}x", "{a}x^{{{b}}}"]),
    ("a - {b}b", ["{b}b - a", "a + {b}b", "b - {b}a", "a - {b}"]), ("\\frac{{a}}{{b}}", ["\\frac{{b}}{{a}}", "ab",
    "\\frac{{a}}{{c}}"]),
    ("e^{{{a}x}}", ["e^{{{b}x}}", "e^{a}x", "{a}e^x", "e^{{-{a}x}}"]), ("x_{{{a}}} + {b}", ["x_{{{b}}} + {a}",
    "x + {b}", "x_{{{c}}} + {b}"]),
    ("A + {a}b", ["a + {a}B", "A + {a}B", "a + {a}b", "b + {a}A"]), ("y = {a}x + {b}", ["y = {b}x + {a}",
    "y = {a}x - {b}", "x = {a}y + {b}"]),
    ("{a}x + {b}y = {c}", ["{b}x + {a}y = {c}", "{a}x + {b}y = -{c}", "{a}x - {b}y = {c}", "{a}x + {b}y"]), ("{a}!",
    ["{b}!", "{a}"]),
    ("\\sum_{{k=1}}^{{{a}}} k", ["\\sum_{{k=2}}^{{{a}}} k", "\\sum_{{k=1}}^{{{b}}} k"]), ("m g h", ["m", "m g",
    "m + g + h", "g h", "M g h"]),
    ("v_0 t", ["v_0", "v t", "v_1 t", "v_0 t^2"]), ("|x - {a}|", ["x - {a}", "|x + {a}|", "|x| - {a}"]),
    ("\\binom{{{a}}}{{2}}", ["\\binom{{{b}}}{{2}}", "\\frac{{{a}}}{{2}}"]),
    ("\\vec{{a}} + {b}\\vec{{c}}", ["\\vec{{c}} + {b}\\vec{{a}}", "\\vec{{a}} - {b}\\vec{{c}}", "a + {b}c"]),
    ("{a}\\%", ["{a}\\pi"]),
    ("\\Delta x + {a}", ["\\delta x + {a}", "x + {a}", "\\Delta y + {a}"]), ("{a}.5x", ["{a}.6x", "{a}x",
    "{b}.5x"]), ("{a}\\pi", ["{a}\\pi^2", "{a}", "{b}\\pi", "\\pi", "{a} + \\pi"]),
    ("AB + {a}", ["BC + {a}", "BA + {a}", "AB - {a}", "AB"]), ("\\sin({a}x)", ["\\sin(x)", "{a}\\sin x",
    "\\cos({a}x)", "\\sin({b}x)"]),
]  # fmt: skip


def formulas(rng: random.Random) -> Pair:
    gold, answers = rng.choice(FORMULAS)
    a, b, c = rng.sample(range(3, 14), 3)
    return gold.format(a=a, b=b, c=c), rng.choice(answers).format(a=a, b=b, c=c)


_TEXTS = [
    "CO2", "H2O", "C2H6", "NaCl", "C6H12O6",   "IX", "XI", "XIV", "XVI", "MCM", "12B", "B12", "A1",
    "1A", "7C3", "AB", "ABC",
    "\\angle ABC", "\\triangle DEF", "\\overline{AB}", "\\overrightarrow{AB}", "AB \\parallel CD", "e-mail", "stop",
    "listen", "on",
    "30'", "5'6", "R2D2", "f'", "x1", "3rd", "t-shirt", "A+", "B-", "N/A", "Pb", "KMnO4", "no", "\\odot O", "Fe2O3",
    "v1.2", "Q4", "G7",
]  # fmt: skip


def texts(rng: random.Random) -> Pair:
    """Letters, digits and signs in another order, or others."""
    text = rng.choice(_TEXTS)
    command, _, name = text.rpartition(" ") if text.startswith("\\") and " " in text else ("", "", text)
    inner = name[name.find("{") + 1 : name.rfind("}")] if "{" in name else name
    characters = list(inner)
    at, to = rng.sample(range(len(characters)), 2) if len(characters) > 1 else (0, 0)
    characters[at], characters[to] = characters[to], characters[at]
    said = rng.choice(
        ["".join(characters), "".join(characters), inner.translate(str.maketrans("ABCDE12O", "BCDEF23N")), f"{inner}1"]
    )
    return text, f"{command} {name.replace(inner, said)}".strip()


def words(rng: random.Random) -> Pair:
    word, another = _two(rng, WORDS)
    return word, rng.choice(
        [another, f"{word} or {another}", f"not {word}", f"{word} and {another}", f"{another} {word}", "5"]
    )


def bases(rng: random.Random) -> Pair:
    digits, base = "".join(str(rng.randint(1, 4)) for _ in range(3)), rng.randint(5, 9)
    return f"{digits}_{base}", rng.choice(
        [f"{digits}_{{{base + 1}}}", f"{digits[::-1]}_{base}", f"{digits}{base}", f"{digits}1_{base}"]
    )


def small_angles(rng: random.Random) -> Pair:
    a = rng.randint(2, 59)
    return rng.choice(
        [
            (f"{a}'", f"{a}''"),
            (f"{a}''", f"{a}'"),
            (f"{a}^\\circ", f"{a}'"),
            (f"{a}'", f"{a + 1}'"),
            (f"{a}^\\circ C", f"{a}^\\circ F"),
        ]
    )


def calculated(rng: random.Random) -> Pair:
    """What a text comes to if it is taken for a sum or a product."""
    a, b = rng.sample(range(2, 40), 2)
    return rng.choice([
        (f"{a}-{b}", str(a - b)), (f"{a} - {b}", f"{a + 1} - {b + 1}"), (f"{a}-{b}-1", f"{a}-1-{b}"), ("2024-03-15",
        "2006"),
        (f"{a}/{b}/2024", str(Fraction(a, b * 2024))), (f"{a} hours {b} minutes", f"{b} hours {a} minutes"),
        (f"{a} to {b}", f"{b} to {a}"),
        (f"{a} and {b}", str(a + b)), (f"{a} tens {b} ones", f"{b} tens {a} ones"), (f"{a}:{b}", str(Fraction(a,
        b) + 1)),
        (f"{a} out of {b}", f"{b} out of {a}"), (f"{a}.{b}.1", f"{b}.{a}.1"), (f"no {a}", f"on {a}"),
        (f"({a}) ({b})", str(a * b)),
    ])  # fmt: skip


def trees(rng: random.Random) -> Pair:
    while True:
        tree = random_tree(rng, 2)
        if tree.parts and differ(tree, other_tree := changed(rng, tree)):
            return latex(rng, tree), latex(rng, other_tree)


KINDS: tuple[Kind, ...] = (
    integers, decimals, fractions, mixed_numbers, scientific, percents, money, quantities, counted,
        changed_by_words, in_parts,
    with_names, places, codes, dates, times, ratios, letters, intervals, relations, unions, sets, rows,
        rows_of_rows, matrices,
    named, formulas, formulas, formulas, trees, trees, texts, texts, words, bases, small_angles, calculated,
)  # fmt: skip


def unequal_pair(kind: Kind, rng: random.Random) -> Pair:
    while True:
        gold, answer = kind(rng)
        if gold.replace(" ", "") != answer.replace(" ", ""):
            return gold, answer
