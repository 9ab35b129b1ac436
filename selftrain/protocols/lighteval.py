"""lighteval's task on GSM8K, with the five examples of the figures that are published with it."""

from __future__ import annotations

from selftrain.protocols.base import EvalProtocol
from selftrain.protocols.examples import shuffled
from selftrain.protocols.expression import extractive_match
from selftrain.protocols.filters import whole

LIGHTEVAL_GSM8K = EvalProtocol(
    name="lighteval:gsm8k",
    harness="lighteval 0.13.0",
    task="gsm8k",
    version=0,
    columns=("question", "answer"),
    question=lambda doc: f"Question: {doc['question']}\nAnswer:",
    target=lambda doc: str(doc["answer"]).strip(),
    num_fewshot=5,
    draw=shuffled(5),
    draws_from_train=True,
    generation={"until": ["Question:"], "do_sample": False, "temperature": 0.0},
    filters={"none": whole},
    metrics=lambda doc, response: {"extractive_match": extractive_match(response, f" {doc['answer']}")},
    metric_names=("extractive_match",),
    stops_in_chat=False,
)
