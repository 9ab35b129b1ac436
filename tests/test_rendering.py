from __future__ import annotations

import copy

import pytest

from selftrain.errors import ModelError, SettingsError
from selftrain.loading import LoadedModel
from selftrain.prompts import Prompting
from selftrain.rendering import Renderer, Row, batches_by_tokens
from selftrain.types import Prompt, TrainingExample


def test_training_sees_the_very_ids_of_sampling(loaded: LoadedModel) -> None:
    renderer = Renderer(loaded.tokenizer, Prompting(), loaded.stop_ids)
    prompt = Prompt("p", "Tom has 3 apples.", shots=(("1+1?", "#### 2"),))
    own_ids = tuple(renderer.completion_ids(" 1+2=3. #### 3"))
    (row,) = renderer.training_rows([TrainingExample(prompt, " 1+2=3. #### 3", own_ids, 0.5)])
    assert list(row.token_ids[: row.prompt_length]) == renderer.prompt_ids(prompt)
    assert row.token_ids[row.prompt_length :] == own_ids and row.weight == 0.5


def test_every_target_ends_with_one_end_token(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, Prompting(), llama.stop_ids)
    prompt, end = Prompt("p", "Tom has 3 apples."), llama.tokenizer.eos_token_id
    text_ids = tuple(llama.tokenizer(" #### 3")["input_ids"])
    for ids in (None, text_ids, (*text_ids, end)):
        row = renderer.row(prompt, " #### 3", ids)
        assert row.token_ids[row.prompt_length :] == (*text_ids, end)


def test_questions_with_braces_stay_as_they_are(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, Prompting(prompt_template="Q: {question} {x}\nA:"))
    assert (
        renderer.text(Prompt("p", r"What is \frac{1}{2}? {question}")) == "Q: What is \\frac{1}{2}? {question} {x}\nA:"
    )


def test_no_end_token_is_refused(llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="end token"):
        Renderer(tokenizer, Prompting())
    assert Renderer(tokenizer, Prompting(), [7]).end_id == 7


def test_a_chat_layout_without_a_template_is_refused(llama: LoadedModel) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        Renderer(llama.tokenizer, Prompting(prompt_format="chat"))


def test_a_chat_template_that_drops_the_question_is_refused(llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.chat_template = "<assistant>"
    with pytest.raises(ModelError, match="drops the question of problem 'p'"):
        Renderer(tokenizer, Prompting()).text(Prompt("p", "How many?"))


def test_a_template_without_a_place_for_the_question_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"has no \{question\}"):
        Prompting(prompt_template="Question:")


def test_batches_hold_every_row_once_and_keep_to_the_budget() -> None:
    rows = [Row(tuple(range(length)), 1) for length in (9, 3, 50, 4, 4, 12, 8)]
    batches = batches_by_tokens(rows, 24)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(rows[i].token_ids) for i in batch) <= 24
