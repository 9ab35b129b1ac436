from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from selftrain.engines.packed.select import fastest_engine
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig, make_prompts
from selftrain.problems import load_problems
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import engine_of, generate

GREEDY = SamplingParams(0.0, max_completion_length=48)


def sample(loaded: LoadedModel, prompts: list[Prompt], n: int, sampling: SamplingParams, rows: int) -> list[Response]:
    engine = engine_of(loaded, batch_size=rows)
    answers: dict[tuple[str, int], Response] = {}
    for unit in engine.plan(prompts, n):
        for response in generate(engine, [prompts[i] for i in unit], n, sampling, key="key"):
            answers[response.prompt.problem_id, response.sample_index] = response
    return [answers[p.problem_id, i] for p in prompts for i in range(n)]


def test_greedy_is_transformers_generate_token_for_token(loaded: LoadedModel, prompts: list[Prompt]) -> None:
    # In two units of several lengths each.
    for response in sample(loaded, prompts[:6], 1, GREEDY, rows=4):
        ids = loaded.tokenizer(response.prompt_text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            whole = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48)
        assert response.token_ids == tuple(whole[0, ids.shape[1] :].tolist()), response.prompt_text


def test_shots_are_read_once_and_the_tokens_are_those_of_generate(
    loaded: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    shots, lengths = tuple((f"{i} and {i}?", f"{i}+{i}={2 * i}. #### {2 * i}") for i in range(6)), list[int]()
    asked = [Prompt(one.problem_id, one.question, few_shot=shots) for one in prompts[:5]]
    engine = engine_of(loaded)
    forward = engine._forward

    def watched(**inputs: Any) -> Any:
        lengths.append(inputs["input_ids"].shape[1])
        return forward(**inputs)

    monkeypatch.setattr(engine, "_forward", watched)
    found = generate(engine, asked, 1, replace(GREEDY, max_completion_length=12))
    start, rest = lengths[:2]
    assert start > 64 > rest
    for response in found:
        ids = loaded.tokenizer(response.prompt_text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            whole = loaded.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
        expected = whole[0, ids.shape[1] :].tolist()
        assert list(response.token_ids) == expected[: len(response.token_ids)], response.prompt_text


def test_logprob_is_a_hand_summed_forward(loaded: LoadedModel, prompts: list[Prompt]) -> None:
    completions = [f" {i}+{i}={2 * i}. #### {2 * i}" for i in range(len(prompts))]
    found = engine_of(loaded).logprob(prompts, completions)
    for prompt, completion, value in zip(prompts, completions, found, strict=True):
        start = loaded.tokenizer(f"Question: {prompt.question}\nAnswer:")["input_ids"]
        rest = [*loaded.tokenizer(completion, add_special_tokens=False)["input_ids"], loaded.tokenizer.eos_token_id]
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([start + rest])).logits[0].double().log_softmax(-1)
        by_hand = sum(logits[len(start) + i - 1, token].item() for i, token in enumerate(rest))
        assert value == pytest.approx(by_hand, abs=1e-4)


def test_the_logprob_of_a_sample_is_that_of_its_tokens_at_temperature_1(
    loaded: LoadedModel, prompts: list[Prompt]
) -> None:
    responses = sample(loaded, prompts[:4], 3, SamplingParams(0.7, 40, max_completion_length=48), rows=24)
    for response in responses:
        start = loaded.tokenizer(response.prompt_text)["input_ids"]
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([start + list(response.token_ids)])).logits[0].double().log_softmax(-1)
        by_hand = sum(logits[len(start) + i - 1, token].item() for i, token in enumerate(response.token_ids))
        assert response.logprob == pytest.approx(by_hand, abs=1e-3)


def test_responses_that_are_cut_off_say_so(llama: LoadedModel, prompts: list[Prompt]) -> None:
    for response in sample(llama, prompts, 2, SamplingParams(1.0, max_completion_length=12), rows=64):
        ended = response.token_ids[-1] in llama.stop_ids
        assert response.finish_reason == ("stop" if ended else "length")
        assert len(response.token_ids) <= 12 and (ended or len(response.token_ids) == 12)


def test_either_end_token_ends_a_response(llama: LoadedModel, prompts: list[Prompt]) -> None:
    """The union of the tokenizer's and the generation config's."""
    comma = llama.tokenizer(",")["input_ids"][0]
    both = LoadedModel(llama.model, llama.tokenizer, frozenset({comma}))
    ends = {r.token_ids[-1] for r in sample(both, prompts, 4, SamplingParams(1.0, max_completion_length=60), rows=64)}
    assert {comma, llama.tokenizer.eos_token_id} <= ends


def test_a_chat_template_is_used_where_there_is_one(llama: LoadedModel, prompts: list[Prompt]) -> None:
    tokenizer = copy.deepcopy(llama.tokenizer)
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
    talking = LoadedModel(llama.model, tokenizer, llama.stop_ids)
    assert engine_of(talking).prompt_text(prompts[0]) == f"<user>{prompts[0].question}\n<assistant>"
    plain = engine_of(talking, prompt_config=PromptConfig(prompt_format="plain"))
    assert plain.prompt_text(prompts[0]) == f"Question: {prompts[0].question}\nAnswer:"


def test_few_shot_examples_end_a_response_where_the_next_one_would_start(llama: LoadedModel) -> None:
    few_shot = (("What is 1+1?", "1+1=2. #### 2"),)
    prompt = make_prompts(load_problems("word_problems", max_problems=1), few_shot)[0]
    renderer = engine_of(llama).renderer
    assert renderer.text(prompt).startswith("Question: What is 1+1?\nAnswer: 1+1=2. #### 2\n\nQuestion: ")
    written = renderer.tokenizer(" 4+4=8. #### 8\n\nQuestion: Tom has")["input_ids"]
    ids, text = renderer.cut(written, renderer.stop_texts(prompt))
    assert text == " 4+4=8. #### 8" and renderer.completion_text(ids) == text


def test_the_logprob_of_a_response_that_a_stop_string_ended_is_that_of_its_tokens(
    llama: LoadedModel, prompts: list[Prompt]
) -> None:
    engine = engine_of(llama, prompt_config=PromptConfig(stop_strings=("a",)))
    for response in generate(engine, prompts[:4], 3, SamplingParams(1.0, max_completion_length=48)):
        start = engine.renderer.prompt_ids(response.prompt)
        with torch.inference_mode():
            logits = llama.model(torch.tensor([start + list(response.token_ids)])).logits[0].double().log_softmax(-1)
        by_hand = sum(logits[len(start) + i - 1, token].item() for i, token in enumerate(response.token_ids))
        assert response.logprob == pytest.approx(by_hand, abs=1e-3), response.text


def test_prompts_without_room_for_a_completion_are_named(llama: LoadedModel) -> None:
    long = Prompt("long", "How much? " * 600)
    short = Prompt("short", "How much?")
    (found,) = engine_of(llama).too_long([short, long], 64)
    assert found[0] == "long" and found[1] > 1000


def test_any_architecture_with_a_cache_runs(tmp_path, prompts: list[Prompt], llama: LoadedModel) -> None:
    """Not one of the three the package ships: learned positions, one fused projection, biases."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=700, n_positions=256, n_embd=32, n_layer=2, n_head=2)
    other = LoadedModel(transformers.GPT2LMHeadModel(config).eval(), llama.tokenizer, llama.stop_ids)
    for response in sample(other, prompts[:4], 1, GREEDY, rows=4):
        ids = llama.tokenizer(response.prompt_text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            whole = other.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48, pad_token_id=1,
                eos_token_id=llama.tokenizer.eos_token_id,
            )  # fmt: skip
        assert response.token_ids == tuple(whole[0, ids.shape[1] :].tolist())


def test_a_repetition_penalty_gives_the_tokens_of_transformers_generate(
    llama: LoadedModel, prompts: list[Prompt]
) -> None:
    engine, params = engine_of(llama), SamplingParams(0.0, max_completion_length=24, repetition_penalty=1.3)
    penalized, changed = generate(engine, prompts[:6], 1, params), 0
    fastest = generate(fastest_engine(engine), prompts[:6], 1, params)
    assert [one.token_ids for one in fastest] == [one.token_ids for one in penalized]
    for ours, plain in zip(
        penalized,
        generate(engine, prompts[:6], 1, SamplingParams(0.0, max_completion_length=24)),
        strict=True,
    ):
        start = torch.tensor([engine.renderer.prompt_ids(ours.prompt)])
        with torch.inference_mode():
            theirs = llama.model.generate(
                start, attention_mask=torch.ones_like(start), do_sample=False, max_new_tokens=24, repetition_penalty=1.3
            )
        assert list(ours.token_ids) == theirs[0, start.shape[1] :].tolist()
        changed += ours.token_ids != plain.token_ids
    assert changed
