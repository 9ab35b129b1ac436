from __future__ import annotations

import copy

import pytest
from tokenizers.processors import TemplateProcessing

from selftrain.errors import ModelError, SettingsError
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer, TokenizedExample, batches_by_tokens
from selftrain.types import Prompt, TrainingExample


def test_training_sees_the_very_ids_of_sampling(loaded: LoadedModel) -> None:
    renderer = Renderer(loaded.tokenizer, PromptConfig(), loaded.stop_ids)
    prompt = Prompt("p", "Tom has 3 apples.", few_shot=(("1+1?", "#### 2"),))
    own_ids = tuple(renderer.completion_ids(" 1+2=3. #### 3"))
    (row,) = renderer.tokenize_examples([TrainingExample(prompt, " 1+2=3. #### 3", own_ids, 0.5)])
    assert list(row.token_ids[: row.prompt_length]) == renderer.prompt_ids(prompt)
    assert row.token_ids[row.prompt_length :] == own_ids and row.weight == 0.5


def test_a_prompt_is_encoded_once_and_the_caller_may_change_its_ids(llama: LoadedModel) -> None:
    class Counting:
        calls = 0

        def __getattr__(self, name: str):
            return getattr(llama.tokenizer, name)

        def __call__(self, *args, **options):
            self.calls += 1
            return llama.tokenizer(*args, **options)

    tokenizer = Counting()
    renderer = Renderer(tokenizer, PromptConfig())
    ids = renderer.prompt_ids(Prompt("p", "Tom has 3 apples."))
    expected = list(ids)
    ids.append(7)
    assert renderer.prompt_ids(Prompt("p", "Tom has 3 apples.")) == expected and tokenizer.calls == 1
    # Another answer posted, another prompt.
    assert renderer.prompt_ids(Prompt("p", "Tom has 3 apples.", peer_answers=("#### 3",))) != expected


def test_a_truncated_answer_is_trained_on_without_an_end_token(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, PromptConfig(), llama.stop_ids)
    prompt, ids = Prompt("p", "Tom has 3 apples."), tuple(llama.tokenizer(" 3+4=7. ##")["input_ids"])
    cut, whole = renderer.tokenize_examples(
        [TrainingExample(prompt, " 3+4=7. ##", ids, truncated=truncated) for truncated in (True, False)]
    )
    assert cut.token_ids[cut.prompt_length :] == ids
    assert whole.token_ids[whole.prompt_length :] == (*ids, llama.tokenizer.eos_token_id)
    # A text from elsewhere is a whole one, and there is always something to learn.
    elsewhere, nothing = renderer.tokenize_examples(
        [TrainingExample(prompt, " 3+4=7. ##", None, truncated=True), TrainingExample(prompt, "", (), truncated=True)]
    )
    assert elsewhere == whole and nothing.completion_length == 1


def test_every_target_ends_with_one_end_token(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, PromptConfig(), llama.stop_ids)
    prompt, end = Prompt("p", "Tom has 3 apples."), llama.tokenizer.eos_token_id
    text_ids = tuple(llama.tokenizer(" #### 3")["input_ids"])
    for ids in (None, text_ids, (*text_ids, end)):
        row = renderer.tokenize(TrainingExample(prompt, " #### 3", ids))
        assert row.token_ids[row.prompt_length :] == (*text_ids, end)


def test_questions_with_braces_stay_as_they_are(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, PromptConfig(prompt_template="Q: {question} {x}\nA:"))
    assert (
        renderer.text(Prompt("p", r"What is \frac{1}{2}? {question}")) == "Q: What is \\frac{1}{2}? {question} {x}\nA:"
    )


def test_no_end_token_is_refused(llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="end token"):
        Renderer(tokenizer, PromptConfig())
    assert Renderer(tokenizer, PromptConfig(), [7]).end_id == 7


def test_a_chat_layout_without_a_template_is_refused(llama: LoadedModel) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        Renderer(llama.tokenizer, PromptConfig(prompt_format="chat"))


def test_a_chat_template_that_drops_the_question_is_refused(llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.chat_template = "<assistant>"
    with pytest.raises(ModelError, match="drops the question of problem 'p'"):
        Renderer(tokenizer, PromptConfig()).text(Prompt("p", "How many?"))


def test_a_template_without_a_place_for_the_question_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"has no \{question\}"):
        PromptConfig(prompt_template="Question:")


def test_the_text_ends_where_a_stop_string_begins_also_within_a_token(llama: LoadedModel) -> None:
    renderer = Renderer(llama.tokenizer, PromptConfig(), llama.stop_ids)
    written = renderer.tokenizer(" 4+4=8. #### 18 apples")["input_ids"]
    for stop in ("8", "####", " #### 18 apples", "apples", "p"):
        ids, text = renderer.cut(written, (stop,))
        assert text == " 4+4=8. #### 18 apples".partition(stop)[0]
        # Of the tokens only those that lie wholly before it.
        assert text.startswith(renderer.completion_text(ids)) and stop not in renderer.completion_text(ids)


def test_a_stop_string_that_is_a_special_token_ends_a_response(llama: LoadedModel) -> None:
    pad = llama.tokenizer.pad_token
    plain = Renderer(llama.tokenizer, PromptConfig(), llama.stop_ids)
    stopping = Renderer(llama.tokenizer, PromptConfig(stop_strings=("Question:", pad)), llama.stop_ids)
    assert stopping.stop_ids - plain.stop_ids == {llama.tokenizer.pad_token_id}


def test_the_start_token_of_a_chat_prompt_is_the_templates_or_the_tokenizers(llama: LoadedModel) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    tokenizer.bos_token = tokenizer.pad_token
    start = tokenizer.pad_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.pad_token} $A", special_tokens=[(tokenizer.pad_token, start)]
    )
    prompt = Prompt("p", "Tom has 3 apples.")
    by_template, by_tokenizer = (
        Renderer(tokenizer, PromptConfig(chat_start_token=who), llama.stop_ids).prompt_ids(prompt)
        for who in ("template", "tokenizer")
    )
    assert by_tokenizer == [start, *by_template] and start not in by_template
    tokenizer.chat_template = f"{tokenizer.pad_token}{tokenizer.chat_template}"
    once = Renderer(tokenizer, PromptConfig(chat_start_token="tokenizer"), llama.stop_ids).prompt_ids(prompt)
    assert once == by_tokenizer


def test_batches_hold_every_example_once_and_keep_to_the_limit() -> None:
    rows = [TokenizedExample(tuple(range(length)), 1) for length in (9, 3, 50, 4, 4, 12, 8)]
    batches = batches_by_tokens(rows, 24)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(rows[i].token_ids) for i in batch) <= 24
