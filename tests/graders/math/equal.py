"""Pairs of a gold and the same answer in another spelling: of a number, a unit, a date, a set, a formula."""

from __future__ import annotations

import random
from fractions import Fraction

from tests.graders.math.trees import latex, random_tree, rearranged, values
from tests.graders.math.unequal import MONTHS, WORDS, Pair

#: Spellings of one unit. A gold may be of any, and an answer of any other.
UNITS = [
    ["km", "kilometers", "kilometres", "\\text{ km}"], ["meters", "\\text{ m}", "metres"], ["cm", "centimeters",
    "\\mathrm{cm}"],
    ["kg", "kilograms"], ["hours", "hrs", "hour"], ["minutes", "min", "mins"], ["dollars", "USD"], ["feet", "ft"],
    ["miles", "mi"],
    ["m/s", "meters per second", "m s^{-1}"], ["km/h", "kilometers per hour", "kph"], ["cm^2", "square centimeters",
    "cm²", "sq cm"],
    ["cubic meters", "m^3", "m³"], ["degrees", "^\\circ", "°"], ["apples", "\\text{ apples}", "red apples"],
    ["children", "kids at all"][:1],
    ["square units", "\\text{ square units}"], ["pounds", "lbs", "lb"], ["miles per hour", "mph"], ["liters", "L",
    "litres"],
    ["%", "\\%", "percent", "per cent", "％"], ["dollars per hour", "dollars an hour"], ["books",
    "books each"],
]  # fmt: skip
DRESS = [
    "{}", "${}$", "\\({}\\)", "\\mathbf{{{}}}", "\\text{{{}}}", "**{}**", "\\Large {}", "\\textcolor{{red}}{{{}}}",
    "\\displaystyle {}",
    "{}.", "{}\\,", "\\boldsymbol{{{}}}", "\\rm {}", "\\underline{{{}}}", "`{}`", "{{{}}}", "~{}", "\\quad {}",
    "\\mathsf{{{}}}",
]  # fmt: skip
MATH_DRESS = [
    "{}",
    "${}$",
    "\\({}\\)",
    "\\displaystyle {}",
    "{}.",
    "\\left({}\\right)",
    "{}\\,",
    "$$ {} $$",
    "\\textcolor{{blue}}{{{}}}",
]
FULL_WIDTH = str.maketrans("0123456789.-/%", "０１２３４５６７８９．－／％")


def dressed(rng: random.Random, text: str, dress: list[str] = DRESS) -> str:
    return rng.choice(dress).format(text) if rng.random() < 0.5 else text


def integers(rng: random.Random) -> Pair:
    value = rng.choice([rng.randint(-99, 99), rng.randint(100, 10**6), rng.randint(10**8, 10**12)])
    grouped = f"{value:,}"
    spellings = [str(value), grouped, grouped.replace(",", "{,}"), grouped.replace(",", "\\,"), grouped.replace(",",
        " "), f"{value}.0",
                 f"x = {value}", f"{value}.00", str(value).translate(FULL_WIDTH), f"\\approx {value}", f"({value})",
                 f"+{value}".replace("+-", "-"),
                 grouped.replace(",", ",\\!"), grouped.replace(",", "'"), str(value).replace("-", "−"),
                     f"7 + 5 = {value}", f"{value} units",
                 f"\\boxed{{{value}}}"]  # fmt: skip
    if value >= 0:
        spellings += [
            f"\\${value}",
            f"\\${grouped}.00",
            f"USD {grouped}",
            f"€{value}",
            f"{value} dollars",
            f"{value} apples",
            f"Rs. {grouped}",
        ]
    gold, said = rng.choice([str(value), grouped, f"{value}.0"]), rng.choice(spellings)
    return gold, said if any(sign in said for sign in ("$", "boxed")) else dressed(rng, said)


def fractions(rng: random.Random) -> Pair:
    a, b, k = rng.randint(1, 40), rng.choice([2, 3, 4, 5, 6, 7, 8, 9, 16, 20, 25]), rng.randint(2, 5)
    value = Fraction(a, b)
    spellings = [f"\\frac{{{a}}}{{{b}}}", f"{a}/{b}", f"\\dfrac{{{k * a}}}{{{k * b}}}", f"\\tfrac{{{a}}}{{{b}}}",
        f"\\nicefrac{{{a}}}{{{b}}}",
                 f"{{{a} \\over {b}}}", f"{a}⁄{b}", f"{a}／{b}", f"x = \\frac{{{a}}}{{{b}}}",
                 f"\\frac {{{a}}} {{{b}}}", f"{a / b:.12f}"]  # fmt: skip
    if value.denominator == 1:
        return spellings[0], str(value.numerator)
    if a > b:
        spellings += [f"{a // b}\\frac{{{a % b}}}{{{b}}}", f"{a // b} {a % b}/{b}"]
    if b == 9 and a < 9:
        spellings += [f"0.\\overline{{{a}}}", f"0.({a})", f"0.\\dot{{{a}}}"]
    if 10**6 % b == 0:
        spellings += [str(a / b)]
    gold = rng.choice(spellings[:3])
    said = rng.choice(spellings)
    return gold, dressed(rng, said, MATH_DRESS)


def quantities(rng: random.Random) -> Pair:
    value, units = rng.randint(2, 999), rng.choice(UNITS)
    gold, said = rng.choice([units[0], ""]), rng.choice([*units, ""])
    return f"{value} {gold}".strip(), f"{value} {said}".strip()


def converted(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 12), rng.randint(1, 11)
    return rng.choice([
        (f"{a} hours {b} minutes", f"{60 * a + b} minutes"), (f"{a} h {b} min", f"{a} hours and {b} minutes"),
        (f"{a} km", f"{1000 * a} m"),
        (f"{a} feet {b} inches", f"{a} ft {b} in"), (f"{a} feet {b} inches", f"{12 * a + b} inches"),
        (f"{a} m {b} cm", f"{100 * a + b} cm"),
        (f"{a} lb {b} oz", f"{a} pounds, {b} ounces"), (f"{a} minutes {b} seconds",
        f"{a}\\text{{ min }}{b}\\text{{ s}}"),
        (f"{a} dollars and {b} cents", f"\\${a}.{b:02d}"), (f"{a} weeks", f"{7 * a} days"),
        (f"{a}\\text{{ ft }}{b}\\text{{ in}}", f"{a} feet {b} inches"),
    ])  # fmt: skip


def large(rng: random.Random) -> Pair:
    a = rng.randint(2, 99)
    return rng.choice([
        (str(a * 10**6), f"{a} million"), (f"{a / 10} billion", f"{a}00000000"), (f"\\${a} million",
        f"\\${a},000,000"), (str(a * 1000), f"{a} thousand"),
        (f"{a} million", f"{a}\\times 10^6"), (f"{a / 10} \\times 10^{{12}}", f"{a / 10}e12"),
        (f"{a / 10} \\times 10^{{7}}", f"{a / 10} × 10⁷"),
        (f"{a * 10**4}", f"{a / 10} x 10^5"), (f"{a * 12}", f"{a} dozen"), (f"{a / 10}\\times 10^{{-3}}",
        f"{a / 10000:.5f}"), (f"{a} crore", f"{a}0,000,000"),
    ])  # fmt: skip


def dates(rng: random.Random) -> Pair:
    y, m, d = rng.randint(1950, 2030), rng.randint(1, 12), rng.randint(13, 28)
    name = MONTHS[m - 1]
    spellings = [f"{y}-{m:02d}-{d:02d}", f"{name} {d}, {y}", f"{d} {name} {y}", f"{m}/{d}/{y}",
        f"{name[:3]} {d}, {y}", f"{name} {d}th, {y}",
                 f"{d}/{m}/{y}", f"the {d}th of {name} {y}", f"\\text{{{name} }}{d}, {y}", f"{y}/{m}/{d}",
                 f"{d}.{m}.{y}", f"{name} {d} {y}"]  # fmt: skip
    return rng.choice(spellings[:4]), rng.choice(spellings)


def times(rng: random.Random) -> Pair:
    h, m, half = rng.randint(1, 12), rng.randint(10, 59), rng.choice("AP")
    spellings = [f"{h}:{m} {half}M", f"{h}:{m}{half}M", f"{h}:{m} {half.lower()}.m.", f"{h}:{m} {half.lower()}m",
        f"{h}:{m}\\text{{ {half}M}}",
                 f"0{h}:{m} {half}M" if h < 10 else f"{h}:{m} {half}.M."]  # fmt: skip
    return rng.choice(spellings), rng.choice(spellings)


def ranges(rng: random.Random) -> Pair:
    a, b = rng.randint(1, 50), rng.randint(51, 99)
    return rng.choice([
        (f"{a}-{b}", f"{a} to {b}"), (f"{a}-{b}", f"{a}–{b}"), (f"{a} - {b}", f"{a}-{b}"), (f"{a}:{b}",
        f"{a} : {b}"), (f"{a}:{b}", f"\\frac{{{a}}}{{{b}}}"),
        (f"{a} to {b}", f"from {a} to {b}"), (f"{a}-{b} km", f"{a} to {b} kilometers"), (f"{a} remainder {b}",
        f"{a} R {b}"), (f"{a}:{b}", f"{a}/{b}"),
        (f"{a} \\times {b}", f"{a} x {b}"), (f"{a} \\text{{ to }} {b}", f"{a} to {b}"), (f"{a}:{b}:7",
        f"${a}:{b}:7$"), (f"({a}:{b})"[1:-1], f"{a}\\colon {b}"),
    ])  # fmt: skip


def letters(rng: random.Random) -> Pair:
    a = rng.choice("ABCDE")
    spellings = [
        "{}",
        "({})",
        "{})",
        "\\text{{{}}}",
        "\\textbf{{({})}}",
        "$\\mathrm{{{}}}$",
        "Option {}",
        "**{}**",
        "({}) 12",
        "{}.",
        "\\text{{({})}}",
    ]
    return rng.choice(spellings[:3]).format(a), rng.choice(spellings).format(a)


def intervals(rng: random.Random) -> Pair:
    a, b, c, d = (str(end) for end in sorted(rng.sample(range(-20, 40), 4)))
    return rng.choice([
        (f"({a}, {b})", f"{a} < x < {b}"), (f"[{a}, {b})", f"{a} \\le x < {b}"), (f"[{a}, {b})",
        f"x \\in [{a},{b})"), (f"({a}, {b}]", f"\\left({a}, {b}\\right]"),
        (f"({a}, {b}) \\cup ({c}, {d})", f"({c},{d})\\cup({a},{b})"), (f"x < {a}", f"(-\\infty, {a})"),
        (f"x \\ge {b}", f"[{b}, \\infty)"), (f"x > {a}", f"{a} < x"),
        (f"(-\\infty, {a}) \\cup ({b}, \\infty)", f"x < {a} \\text{{ or }} x > {b}"),
        (f"(-\\infty, {a}) \\cup ({a}, \\infty)", f"x \\ne {a}"),
        (f"\\{{x \\mid x > {a}\\}}", f"({a}, \\infty)"), (f"[{a}, {b}]", f"{b} \\ge x \\ge {a}"),
        (f"({a}, \\sqrt{{2001}})", f"{a} < x < \\sqrt{{2001}}"),
        (f"x \\leq {a}", f"x ≤ {a}"), (f"\\mathbb{{R}} \\setminus \\{{{a}\\}}",
        f"(-\\infty,{a})\\cup({a},\\infty)"), ("\\emptyset", "\\varnothing"),
        (f"{a}<x<{b}", f"x > {a} \\text{{ and }} x < {b}"), ("\\mathbb{R}", "(-\\infty, \\infty)"), (f"({a}, {b})",
        f"\\left( {a} , {b} \\right)"),
    ])  # fmt: skip


def lists(rng: random.Random) -> Pair:
    items = [str(item) for item in rng.sample(range(-20, 50), rng.randint(2, 5))]
    others = rng.sample(items, len(items))
    gold = rng.choice(["{}", "\\{{{}\\}}"]).format(", ".join(items))
    joined = (
        ", ".join(others[:-1]) + rng.choice([" and ", ", and ", " or ", ", ", "; ", " \\text{ and } "]) + others[-1]
    )
    return gold, rng.choice(
        [
            joined,
            f"\\{{{', '.join(others)}\\}}",
            f"x = {' or x = '.join(others)}",
            "，".join(others),
            "\\quad, ".join(others),
        ]
    )


def rows(rng: random.Random) -> Pair:
    items = [rng.choice([("1/2", "\\frac{1}{2}"), ("0.5", "\\frac12"), ("\\sqrt{2}", "\\sqrt2"), ("\\pi", "π"),
        ("3", "3.0"), ("-2", "−2"), ("\\frac{\\pi}{2}", "\\pi/2"),
                         ("2x", "2 x"), ("0", "0"), ("\\frac{\\sqrt{2}}{2}",
                         "\\frac{1}{\\sqrt{2}}")]) for _ in range(rng.randint(2, 4))]  # fmt: skip
    golds, answers = [gold for gold, _ in items], [answer for _, answer in items]
    one, other = rng.choice([(golds, answers), (answers, golds)])
    return f"({', '.join(one)})", rng.choice(
        ["({})", "\\left({}\\right)", "\\left( {} \\right)", "$({})$", "(x, y) = ({})"][: 4 + (len(items) == 2)]
    ).format(", ".join(other))


def matrices(rng: random.Random) -> Pair:
    cells = rng.choice([["1", "2", "3", "4"], ["\\frac12", "0", "-1", "x"], ["0.5", "7", "\\sqrt{2}", "9"]])
    plain = "\\begin{{pmatrix}} {} & {} \\\\ {} & {} \\end{{pmatrix}}".format
    other = rng.choice([
        "\\begin{{bmatrix}}{}&{}\\\\{}&{}\\end{{bmatrix}}",
        "\\left(\\begin{{array}}{{cc}} {} & {} \\\\ {} & {} \\end{{array}}\\right)",
        "\\begin{{pmatrix}} {} & {} \\\\[4pt] {} & {} \\end{{pmatrix}}",
        "\\begin{{bmatrix}} {} & {} \\\\ {} & {} \\\\ \\end{{bmatrix}}",
    ]).format  # fmt: skip
    return plain(*cells), other(*(cell.replace("\\frac12", "\\dfrac{1}{2}") for cell in cells))


def named(rng: random.Random) -> Pair:
    (x, y), (a, b) = rng.sample(["x", "y", "a", "b", "n", "k"], 2), rng.sample(range(-20, 20), 2)
    return f"{x} = {a}, {y} = {b}", rng.choice(
        [f"{y} = {b}, {x} = {a}", f"{x}={a} \\text{{ and }} {y}={b}", f"{a}, {b}", f"{x}={a},\\ {y}={b}"]
    )


def with_names(rng: random.Random) -> Pair:
    a, b = rng.sample(range(2, 40), 2)
    return f"{a} boys and {b} girls", rng.choice(
        [
            f"{b} girls and {a} boys",
            f"{a} boys, {b} girls",
            f"{a} and {b}",
            f"{a}\\text{{ boys and }}{b}\\text{{ girls}}",
        ]
    )


#: Formulas and other spellings of them.
FORMULAS = [
    ["{a}x^2 + {b}", "{b} + {a}x^{{2}}", "{a}x² + {b}", "{a} \\cdot x^2 + {b}", "{a}*x**2 + {b}",
    "y = {a}x^2 + {b}"], ["m g h", "mgh", "hgm", "m \\cdot g \\cdot h"],
    ["{a}\\pi r^2 h", "{a}\\pi hr^2", "{a} \\pi r^2h", "{a}π r² h", "h \\cdot {a}\\pi r^2"],
    ["\\frac{{1}}{{{a}}} m v^2", "\\frac{{mv^2}}{{{a}}}", "\\frac{{1}}{{{a}}}mv^2", "m v^2/{a}"],
    ["{a}\\sqrt{{{b}}}", "\\sqrt{{{b}}} \\cdot {a}", "{a}√{b}", "{a}*sqrt({b})", "{a}\\sqrt{{{b}}} \\text{{ cm}}",
    "{a} \\sqrt {{{b}}}"], ["\\cos {a}^\\circ", "\\cos({a}^{{\\circ}})", "cos {a}°", "\\cos {a}°"],
    ["\\frac{{\\pi}}{{{a}}}", "π/{a}", "pi/{a}", "\\pi / {a}", "\\frac{{1}}{{{a}}}\\pi"], ["\\log_2 x",
    "\\frac{{\\ln x}}{{\\ln 2}}", "\\log_{{2}} x", "\\log_2(x)"], ["\\sqrt{{x + {a}}}", "√(x+{a})",
    "(x+{a})^{{1/2}}", "sqrt(x+{a})"],
    ["e^{{{a}x}}", "e^({a}x)", "\\exp({a}x)", "\\mathrm{{e}}^{{{a}x}}"], ["{a} + {b}i", "{b}i + {a}", "{a}+{b} i"],
    ["\\frac{{x + {a}}}{{{b}}}", "\\frac{{x}}{{{b}}} + \\frac{{{a}}}{{{b}}}", "(x+{a})/{b}"],
    ["x = {a} \\pm \\sqrt{{{b}}}", "{a} + \\sqrt{{{b}}}, {a} - \\sqrt{{{b}}}", "{a} \\pm \\sqrt{{{b}}}",
    "x = {a} - \\sqrt{{{b}}} \\text{{ or }} x = {a} + \\sqrt{{{b}}}"], ["x^{{-1}}", "\\frac{{1}}{{x}}", "1/x"],
    ["{a}x + {b}y = {c}", "{a}x + {b}y - {c} = 0", "{c} = {a}x + {b}y", "{b}y + {a}x = {c}"], ["(x - {a})(x + {a})",
    "x^2 - {a}^2", "(x+{a})(x-{a})", "x^2 - {a} \\cdot {a}"], ["f(x + {a})", "f(x+{a})", "f\\left(x + {a}\\right)"],
    ["\\vec{{a}} + {b}\\vec{{c}}", "{b}\\vec{{c}} + \\vec{{a}}", "\\vec a + {b} \\vec c"], ["f'(x)",
    "f^{{\\prime}}(x)", "f'\\left(x\\right)", "f′(x)"], ["k\\pi, k \\in \\mathbb{{Z}}",
    "n\\pi, n \\in \\mathbb{{Z}}", "k\\pi, k \\in ℤ"],
    ["y = {a}x + {b}", "{a}x + {b}", "y={b}+{a}x", "f(x) = {a}x + {b}"[7:], "{a}x - y + {b} = 0"], ["\\theta", "θ"],
    ["-\\frac{{\\sqrt{{{a}}}}}{{{b}}}", "\\frac{{-\\sqrt{{{a}}}}}{{{b}}}", "-\\sqrt{{{a}}}/{b}"],
    ["{a}\\%", "{a} percent", "{a}"], ["\\binom{{{a}}}{{2}}", "\\frac{{{a}!}}{{2!({a}-2)!}}"], ["{a}.5x",
    "\\frac{{{d}}}{{2}}x", "{a}.50x"], ["\\frac{{1}}{{{a}}} b h", "\\frac{{1}}{{{a}}}hb", "\\frac{{bh}}{{{a}}}",
    "bh/{a}"], ["\\tan^{{-1}} {a}", "\\arctan {a}", "\\arctan({a})"],
]  # fmt: skip


def formulas(rng: random.Random) -> Pair:
    spellings = rng.choice(FORMULAS)
    a, b, c = rng.sample([2, 3, 5, 7, 11, 13], 3)
    gold, said = (text.format(a=a, b=b, c=c, d=2 * a + 1) for text in (spellings[0], rng.choice(spellings)))
    return gold, dressed(rng, said, MATH_DRESS[:5])


def trees(rng: random.Random) -> Pair:
    while not (tree := random_tree(rng, 2)).parts or values(tree) is None:
        pass
    return latex(rng, tree), latex(rng, rearranged(rng, tree))


TEXTS = [
    "CO2",
    "XIV",
    "12B",
    "\\angle ABC",
    "R&B",
    "cat_dog",
    "AB \\parallel CD",
    "e-mail",
    "2-1-3",
    "1.2.3",
    "204_5",
    "H_2O",
]


def texts(rng: random.Random) -> Pair:
    text = rng.choice(TEXTS)
    plain = text.replace("&", "\\&").replace("_d", "\\_d")
    return text, rng.choice(
        [text, f"\\text{{{plain}}}", f"${plain}$", f"{text}.", f"\\mathrm{{{plain}}}"]
    ) if "_" not in text else text


def words(rng: random.Random) -> Pair:
    word = rng.choice(WORDS)
    return word, rng.choice(
        [
            word.upper(),
            word.lower(),
            word.capitalize(),
            f"\\text{{{word}}}",
            f"{word}.",
            f"**{word}**",
            f"\\textbf{{{word}}}",
            f'"{word}"',
            f"`{word}`",
        ]
    )


KINDS = (
    integers, integers, fractions, fractions, quantities, quantities, converted, large, dates, times, ranges,
        letters, intervals, lists, rows,
    matrices, named, with_names, formulas, formulas, formulas, trees, texts, words,
)  # fmt: skip
