"""lm-eval's tasks on GSM8K."""

from __future__ import annotations

from collections.abc import Mapping

from selftrain.protocols.base import Doc, EvalProtocol
from selftrain.protocols.examples import fixed, no_examples, sampled
from selftrain.protocols.filters import ANY_NUMBER, first_match, last_match
from selftrain.protocols.match import gsm8k_match

HARNESS = "lm-eval 0.4.13"
_COLUMNS = ("question", "answer")
_THE_ANSWER_IS = r"The answer is (\-?[0-9\.\,]+)."


def _whole_solution(doc: Doc) -> str:
    return str(doc["answer"])


def _number(doc: Doc) -> str:
    """Of the fixed examples, which have no `answer`, their own text."""
    return str(doc["answer"]).split("####")[-1].strip() if "answer" in doc else str(doc["target"])


def _match_solution(doc: Doc, read: str) -> Mapping[str, float]:
    return {"exact_match": gsm8k_match(read, _whole_solution(doc))}


def _match_number(doc: Doc, read: str) -> Mapping[str, float]:
    return {"exact_match": gsm8k_match(read, _number(doc))}


GSM8K = EvalProtocol(
    name="lm-eval:gsm8k",
    harness=HARNESS,
    task="gsm8k",
    version=3.0,
    columns=_COLUMNS,
    question=lambda doc: f"Question: {doc['question']}\nAnswer:",
    target=_whole_solution,
    num_fewshot=5,
    draw=sampled(5),
    draws_from_train=True,
    generation={"until": ["Question:", "</s>", "<|im_end|>"], "do_sample": False, "temperature": 0.0},
    filters={
        "strict-match": first_match(r"#### (\-?[0-9\.\,]+)"),
        "flexible-extract": last_match(ANY_NUMBER),
    },
    metrics=_match_solution,
)

GSM8K_COT = EvalProtocol(
    name="lm-eval:gsm8k_cot",
    harness=HARNESS,
    task="gsm8k_cot",
    version=3.0,
    columns=_COLUMNS,
    question=lambda doc: f"Q: {doc['question']}\nA:",
    target=_number,
    num_fewshot=8,
    draw=fixed("word_problems", ("question", "target")),
    generation={"do_sample": False, "until": ["Q:", "</s>", "<|im_end|>"]},
    filters={"strict-match": first_match(_THE_ANSWER_IS), "flexible-extract": last_match(ANY_NUMBER)},
    metrics=_match_number,
)

GSM8K_COT_ZEROSHOT = EvalProtocol(
    name="lm-eval:gsm8k_cot_zeroshot",
    harness=HARNESS,
    task="gsm8k_cot_zeroshot",
    version=3.0,
    columns=_COLUMNS,
    question=lambda doc: f"Q: {doc['question']}\nA: Let's think step by step.",
    target=_whole_solution,
    num_fewshot=0,
    draw=no_examples(),
    generation={"until": ["Q:", "</s>", "<|im_end|>"], "do_sample": False},
    filters={"strict-match": first_match(_THE_ANSWER_IS), "flexible-extract": last_match(ANY_NUMBER)},
    metrics=_match_solution,
)
