"""lm-eval's task on MATH-500, in the form of the Minerva paper."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping

from selftrain.errors import DataError
from selftrain.protocols.base import Doc, EvalProtocol
from selftrain.protocols.examples import fixed
from selftrain.protocols.filters import NO_ANSWER, whole
from selftrain.protocols.gsm8k import HARNESS
from selftrain.protocols.latex_answer import last_box, normalized, same_value
from selftrain.protocols.sympy_latex import parse_latex, require_parser, time_limit

_END = "I hope it is correct."
_FINAL = re.compile(r"Final Answer: The final answer is(.*?). I hope it is correct.")
#: After which lm-eval counts two answers as different.
_SECONDS = 5


def _prepare(doc: Doc) -> Doc:
    box = last_box(doc["solution"])
    if box is None:
        raise DataError(
            f"no \\boxed{{}} in the solution {doc['solution'][-80:]!r}",
            "its content is the answer that responses are held against",
            "remove the row, or write the answer into a box",
        )
    return {**doc, "answer": normalized(box)}


def _target(doc: Doc) -> str:
    """Of the fixed examples, which have no `answer`, the solution."""
    if "answer" not in doc:
        return str(doc["solution"])
    text = str(doc["answer"])
    # lm-eval reads a target in brackets as a list where it can, and records how that is printed.
    if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
        try:
            return str(literal_eval(text))
        except (SyntaxError, ValueError):
            return text
    return text


def final_answer(response: str) -> str:
    """What a response in the form of the examples gives as its final answer."""
    found = _FINAL.search(response + _END)
    return found[1].strip() if found else NO_ANSWER


def _metrics(doc: Doc, response: str) -> Mapping[str, float]:
    import math_verify

    answer = normalized(final_answer(response))
    require_parser()
    try:
        with time_limit(_SECONDS):
            exact = same_value(answer, doc["answer"], parse_latex)
    except TimeoutError:
        exact = False
    gold, read = math_verify.parse(doc["solution"]), math_verify.parse(response)
    return {"exact_match": int(exact), "math_verify": int(math_verify.verify(gold=gold, target=read))}


MINERVA_MATH500 = EvalProtocol(
    name="lm-eval:minerva_math500",
    harness=HARNESS,
    task="minerva_math500",
    version=3.1,
    columns=("problem", "solution"),
    question=lambda doc: f"Problem:\n{doc['problem']}\n\nSolution:",
    target=_target,
    num_fewshot=4,
    draw=fixed("math", ("problem", "solution")),
    generation={"until": ["Problem:"], "do_sample": False, "temperature": 0.0},
    filters={"none": whole},
    metrics=_metrics,
    metric_names=("exact_match", "math_verify"),
    reads=final_answer,
    prepare=_prepare,
)
