from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selftrain.methods.pmi import PmiPair, answer_part, pmi, pmi_weights
from selftrain.models.loading import LoadedModel, load_model
from selftrain.models.prompts import PromptConfig
from selftrain.models.seeds import seed_model
from selftrain.types import Prompt
from tests.conftest import engine_of

QUESTIONS = ["Tom has 3 apples and buys 4 more. How many apples does Tom have?", "Ana reads 12 pages. How many?"]
AGGREGATES = [" 3+4=7. #### 7", " She reads 12 pages.\n#### 12"]
ANSWERS = [" 3+4=8. #### 8", " #### 12"]
ASKED = [
    PmiPair(aggregate, Prompt("p", question, peer_answers=(answer,)), Prompt("p", question))
    for question, aggregate, answer in zip(QUESTIONS, AGGREGATES, ANSWERS, strict=True)
]


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return load_model(seed_model(request.param), device="cpu")


def summed(model: LoadedModel, context: str, text: str) -> float:
    """log p(text + end | context), token by token."""
    start = model.tokenizer(context)["input_ids"]
    rest = [*model.tokenizer(text, add_special_tokens=False)["input_ids"], model.tokenizer.eos_token_id]
    with torch.inference_mode():
        logits = model.model(torch.tensor([start + rest])).logits[0].double().log_softmax(-1)
    return sum(logits[len(start) + i - 1, token].item() for i, token in enumerate(rest))


def test_pmi_is_the_difference_of_two_hand_summed_log_probabilities(model: LoadedModel) -> None:
    found = pmi(engine_of(model, prompt_config=PromptConfig(peer_layout="posted")), ASKED, per_token=False)
    for question, aggregate, answer, value in zip(QUESTIONS, AGGREGATES, ANSWERS, found, strict=True):
        shown = summed(model, f"Question: {question}\nPosted: {answer.strip()}\nAnswer:", aggregate)
        alone = summed(model, f"Question: {question}\nAnswer:", aggregate)
        assert value == pytest.approx(shown - alone, abs=1e-3) and abs(value) > 0.01


def test_per_token_it_is_divided_by_the_tokens_of_the_text_and_its_end(model: LoadedModel) -> None:
    whole, each = (pmi(engine_of(model), ASKED, per_token) for per_token in (False, True))
    sizes = [len(model.tokenizer(text, add_special_tokens=False)["input_ids"]) + 1 for text in AGGREGATES]
    assert each == pytest.approx([value / size for value, size in zip(whole, sizes, strict=True)])


def test_the_two_models_cut_texts_differently(llama: LoadedModel) -> None:
    other = load_model(seed_model("qwen2"), device="cpu")
    one, two = (engine_of(loaded).renderer.completion_ids(AGGREGATES[1]) for loaded in (llama, other))
    assert one != two and [llama.tokenizer.decode(i) for i in one] != [other.tokenizer.decode(i) for i in two]


def test_what_is_not_shown_says_nothing(model: LoadedModel) -> None:
    class Blind(type(engine_of(model))):
        """Shows no answer of others."""

        def logprob(self, prompts, completions):
            return super().logprob([replace(prompt, peer_answers=()) for prompt in prompts], completions)

    seeing = engine_of(model)
    blind = Blind(model.model, seeing.renderer, "blind")
    assert pmi(blind, ASKED, per_token=False) == [0.0, 0.0]
    assert pmi(seeing, [replace(one, given=one.alone) for one in ASKED], per_token=True) == [0.0, 0.0]


def test_the_text_has_the_same_ids_in_both_contexts(model: LoadedModel) -> None:
    renderer = engine_of(model).renderer
    for one in ASKED:
        given, alone = renderer.tokenize_completions([one.given, one.alone], [one.text] * 2)
        assert given.token_ids[given.prompt_length :] == alone.token_ids[alone.prompt_length :]
        assert given.prompt_length > alone.prompt_length


def test_other_pairs_of_a_call_change_nothing(model: LoadedModel) -> None:
    engine = engine_of(model)
    long = PmiPair(
        " #### 7" * 12, Prompt("q", "How many? " * 20, peer_answers=("x " * 30,)), Prompt("q", "How many? " * 20)
    )
    together = pmi(engine, [long, *ASKED, long], per_token=False)[1:3]
    assert together == pytest.approx([pmi(engine, [one], per_token=False)[0] for one in ASKED], abs=1e-4)


values = st.floats(-1e4, 1e4)


@given(st.lists(values, min_size=1, max_size=9))
def test_weights_are_finite_and_never_rise_with_pmi(found: list[float]) -> None:
    weights = pmi_weights(found)
    assert all(math.isfinite(weight) and 0 <= weight <= 1 for weight in weights)
    ranked = sorted(zip(found, weights, strict=True))
    assert all(low[1] >= high[1] for low, high in pairwise(ranked))


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_weights_lie_between_0_and_1_and_fall_with_pmi(one: float, other: float) -> None:
    low, high = pmi_weights([min(one, other), max(one, other)])
    assert 0 < high <= low < 1
    assert low > high or abs(one - other) < 1e-2


@given(values)
def test_a_weight_and_that_of_the_opposite_make_one(value: float) -> None:
    assert sum(pmi_weights([value, -value])) == pytest.approx(1)


def test_weights_by_hand() -> None:
    assert pmi_weights([0.0, math.log(3), -math.log(3)]) == pytest.approx([0.5, 0.25, 0.75])
    assert pmi_weights([2 * math.log(3)], temperature=2.0) == pytest.approx([0.25])
    assert pmi_weights([1 + math.log(3)], shift=1.0) == pytest.approx([0.25])
    assert pmi_weights([-50.0, 0.0, 50.0], clip=(0.2, 0.8)) == [0.8, 0.5, 0.2]
    # Mean 3, deviation 1: what is left are -1 and 1, whatever the scale.
    assert pmi_weights([2.0, 4.0], standardize=True) == pytest.approx(pmi_weights([-1.0, 1.0]))
    assert pmi_weights([200.0, 400.0], standardize=True) == pytest.approx(pmi_weights([-1.0, 1.0]))
    assert pmi_weights([7.0, 7.0], standardize=True) == [0.5, 0.5]
    assert pmi_weights([]) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (" 3+4=7. #### 7", " #### 7"),
        ("#### 1\nno, #### 2", " #### 2"),
        (r"So it is \boxed{7}.", r" \boxed{7}."),
        ("We add.\nThe answer is 7", " answer is 7"),
        ("Answer: 7\n", " Answer: 7"),
        ("We add.\nIt is 7", " It is 7"),
        ("", " "),
    ],
)
def test_the_answer_part_starts_at_the_last_mark(text: str, part: str) -> None:
    assert answer_part(text) == part
