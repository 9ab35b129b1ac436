"""A server's responses are those of the engine with the same weights, whatever happens on the way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from selftrain.engines.server import client
from selftrain.engines.server.client import RequestRejectedError, RetriesExhaustedError
from selftrain.engines.server.engine import RESPONSES_PER_BATCH, ServerEngine
from selftrain.engines.server.replies import logprob_of, read_reply, tokens_and_text
from selftrain.errors import ModelError, RunError
from selftrain.models.loading import LoadedModel
from selftrain.models.prompts import PromptConfig
from selftrain.types import Prompt, Response, SamplingParams
from tests.conftest import engine_of, generate, requests_of
from tests.engines.server.openai_server import State
from tests.engines.server.serving import asking, serving

GREEDY = SamplingParams(0.0, max_completion_length=40)
AT_RANDOM = SamplingParams(0.8, 40, max_completion_length=12)


@pytest.fixture(scope="module")
def state() -> Iterator[State]:
    with serving() as served:
        yield served


@pytest.fixture
def engine(state: State, llama: LoadedModel) -> Iterator[ServerEngine]:
    with asking(state, llama, request_timeout=60.0, max_retries=3) as one:
        yield one


def seeds(state: State) -> Counter[int]:
    return Counter(one["body"]["seed"] for one in state.asked)


def said(responses: list[Response]) -> list[tuple[str, int, str, tuple[int, ...], str]]:
    return [(one.prompt.problem_id, one.sample_index, one.text, one.token_ids, one.finish_reason) for one in responses]


@pytest.mark.parametrize(
    ("words", "settings", "gives"),
    [
        pytest.param((), {}, True, id="all that vLLM returns"),
        pytest.param(("--plain",), {}, True, id="no ids", marks=pytest.mark.slow),
        pytest.param(("--strict", "--plain"), {"server_extras": False}, True, id="OpenAI's own parameters only"),
        pytest.param(("--logprobs", "scaled"), {}, False, id="scaled by the temperature", marks=pytest.mark.slow),
        pytest.param(("--logprobs", "none"), {}, False, id="no log-probabilities", marks=pytest.mark.slow),
    ],
)
def test_greedy_responses_are_those_of_the_engine_with_the_same_weights(
    llama: LoadedModel, prompts: list[Prompt], words: tuple[str, ...], settings: dict[str, bool], gives: bool
) -> None:
    """Texts, tokens, ends and log-probabilities, whatever a server returns of them.

    Without stop strings: a server that tells nothing of the end leaves open which of the two it was.
    """
    ends_itself = PromptConfig(stop_at_next_question=False)
    expected = generate(engine_of(llama, prompt_config=ends_itself), prompts[:4], 1, GREEDY, weights_version=2)
    with serving(*words) as state, asking(state, llama, ends_itself, **settings) as engine:
        found = generate(engine, prompts[:4], 1, GREEDY, weights_version=2)
        drawn = generate(engine, prompts[:4], 2, SamplingParams(0.8, max_completion_length=24))
        assert all(("logprobs" in one["body"]) == gives for one in state.asked)
        assert said(found) == said(expected)
        assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected], abs=1e-3)
        ended = [one for one in drawn if one.finish_reason == "stop"]
        # At temperature 1, not at that of the draw.
        scored = engine_of(llama).logprob([one.prompt for one in ended], [one.text for one in ended])
        assert ended and [one.logprob for one in ended] == pytest.approx(scored, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--plain",)], ids=["ids", "no ids"])
def test_a_stop_string_ends_a_response_in_the_same_place(
    llama: LoadedModel, prompts: list[Prompt], words: tuple[str, ...]
) -> None:
    prompt_config = PromptConfig(stop_strings=("####", "nothing like it"))
    expected = generate(engine_of(llama, prompt_config=prompt_config), prompts[:6], 1, GREEDY)
    assert {one.finish_reason for one in expected} == {"stop"} and not any("####" in one.text for one in expected)
    with serving(*words) as state, asking(state, llama, prompt_config) as engine:
        found = generate(engine, prompts[:6], 1, GREEDY)
    assert said(found) == said(expected)
    assert [one.logprob for one in found] == pytest.approx([one.logprob for one in expected], abs=1e-3)


def test_a_stop_string_that_begins_within_a_token_leaves_the_same_tokens(
    llama: LoadedModel, prompts: list[Prompt]
) -> None:
    """Servers cut the text where the stop string begins; the token that it begins in is not part of the response."""
    own = engine_of(llama, prompt_config=PromptConfig(stop_strings=("####",)))
    (expected,) = generate(own, prompts[:1], 1, GREEDY)
    assert (expected.token_ids, expected.text) == ((), " ")  # the model writes " ####" as one token
    for text in ("", " "):
        figures = {"token_logprobs": [-0.1] * (len(expected.token_ids) + 1)}
        choice = {"text": text, "finish_reason": "stop", "stop_reason": "####", "logprobs": figures}
        reply = read_reply({"choices": [choice]}, max_tokens=40, vocabulary=1024, stop_strings=["####"])
        found = tokens_and_text(reply, own.renderer, ("####",))
        assert found == (expected.token_ids, text)
        assert logprob_of(reply, found[0]) == pytest.approx(-0.1 * len(expected.token_ids))


def test_seeds_fit_every_server(engine: ServerEngine, state: State, prompts: list[Prompt]) -> None:
    generate(engine, prompts[:6], 2, AT_RANDOM)
    assert len(seeds(state)) == 12 and all(0 <= one < 2**31 for one in seeds(state))
    body = state.asked[0]["body"]
    assert (body["n"], body["max_tokens"], body["top_k"], body["min_p"]) == (1, 12, 40, 0.0)


@pytest.mark.parametrize("fault", ["reset", "429", "500", "truncate", "garbage", "other"])
def test_a_passing_fault_costs_one_retry_and_nothing_else(
    engine: ServerEngine, state: State, prompts: list[Prompt], impatient: None, fault: str
) -> None:
    expected = generate(engine, prompts[:3], 2, AT_RANDOM)
    state.begin(["-", fault, "-", fault])
    assert generate(engine, prompts[:3], 2, AT_RANDOM) == expected
    assert sorted(seeds(state).values()) == [1, 1, 1, 1, 2, 2]
    if fault == "429":
        first, second = (
            [one["time"] for one in state.asked if one["body"]["seed"] == seed]
            for seed, count in seeds(state).items()
            if count == 2
        )
        assert min(again - before for before, again in (first, second)) >= 1.0  # Retry-After


@pytest.mark.slow
def test_a_slow_body_is_not_waited_for(state: State, llama: LoadedModel, prompts: list[Prompt]) -> None:
    """Each byte comes soon after the one before, so only a limit on the whole can end it."""
    with asking(state, llama, request_timeout=6.0) as engine:
        expected = generate(engine, prompts[:2], 1, AT_RANDOM)
        state.begin(["slow"])
        assert generate(engine, prompts[:2], 1, AT_RANDOM) == expected
    first, *_, again = state.asked
    assert first["body"] == again["body"] and again["time"] - first["time"] >= 6.0


def test_as_many_requests_as_allowed_are_in_flight_across_batches(
    state: State, llama: LoadedModel, prompts: list[Prompt]
) -> None:
    with asking(state, llama, max_concurrency=3) as engine:
        state.begin(delay=0.05)
        batches = [[prompt] for prompt in prompts[:12]]
        answers = list(engine.generate_batches(requests_of(batches, 1, AT_RANDOM)))
    assert [batch[0].prompt for batch in answers] == prompts[:12]
    assert state.most_busy == 3


def test_a_rejected_request_ends_the_run_with_the_servers_message(
    engine: ServerEngine, state: State, prompts: list[Prompt]
) -> None:
    state.begin(["400"])
    with pytest.raises(RequestRejectedError, match="rejects the request with 400: 'no, "):
        generate(engine, prompts[:1], 1, GREEDY)
    assert len(state.asked) == 1 and RequestRejectedError.exit_code == 74


def test_batches_that_were_complete_before_a_lasting_fault_are_returned(
    state: State, llama: LoadedModel, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the failing request is tried as often as allowed, each time after twice the wait."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.1)
    # One at a time: of several, any may come first.
    with asking(state, llama, max_concurrency=1, max_retries=3) as engine:
        state.begin(["-", "-", "500..."])
        batches = engine.generate_batches(requests_of([prompts[0:2], prompts[2:3], prompts[3:4]], 1, GREEDY))
        assert len(next(batches)) == 2
        with pytest.raises(RetriesExhaustedError, match=r"no reply in 4 tries; the last one: 500, '<html>out of luck"):
            next(batches)
    assert max(seeds(state).values()) == 4
    times = [one["time"] for one in state.asked if one["body"]["seed"] == seeds(state).most_common(1)[0][0]]
    waits = [after - before for before, after in pairwise(times)]
    assert waits[0] >= 0.05 and waits[1] >= 0.1 and waits[2] >= 0.2


def test_requests_nobody_waits_for_are_cancelled(engine: ServerEngine, state: State, prompts: list[Prompt]) -> None:
    state.begin(delay=0.2)
    asked_for = [[one] for one in prompts * 4]
    batches = engine.generate_batches(requests_of(asked_for, 8, GREEDY))
    next(batches)
    batches.close()
    time.sleep(0.4)
    count = len(state.asked)
    time.sleep(0.3)
    assert len(state.asked) == count < 8 * len(asked_for)


def test_the_key_is_sent_and_never_shown(llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving("--key", "sk-secret-1") as state:
        monkeypatch.setenv("MY_KEY", "sk-secret-1")
        with asking(state, llama, api_key_env="MY_KEY") as engine:
            generate(engine, [Prompt("p", "1+1?")], 1, GREEDY)
            assert state.asked[0]["key"] == "Bearer sk-secret-1" and "secret" not in engine.description
            state.begin(["400"])
            with pytest.raises(RequestRejectedError) as refused:
                generate(engine, [Prompt("p", "1+1?")], 1, GREEDY)
        monkeypatch.setenv("MY_KEY", "sk-secret-2")
        with (
            pytest.raises(RequestRejectedError, match="export its key as MY_KEY") as unknown,
            asking(state, llama, api_key_env="MY_KEY"),
        ):
            pass
    for error in (refused.value, unknown.value):
        assert "secret" not in f"{error}{error!r}" and "Bearer ***" in str(error)


def test_a_server_that_cannot_be_used_is_refused_before_any_request(llama: LoadedModel, impatient: None) -> None:
    with serving("--names", "small", "large") as state:
        with (
            pytest.raises(ModelError, match=r"lists 2 models: small, large[\s\S]*--server_model"),
            asking(state, llama),
        ):
            pass
        with asking(state, llama, server_model="large") as engine:
            generate(engine, [Prompt("p", "1+1?")], 1, GREEDY)
            assert state.asked[0]["body"]["model"] == "large"
        with (
            pytest.raises(RequestRejectedError, match="The model `huge` does not exist"),
            asking(state, llama, server_model="huge"),
        ):
            pass
    with (
        serving("--strict") as state,
        pytest.raises(RequestRejectedError, match="--server_extras false"),
        asking(state, llama),
    ):
        pass
    with (
        serving("--extra_token", "1") as state,
        pytest.raises(ModelError, match="adds a start token"),
        asking(state, llama),
    ):
        pass
    with pytest.raises(RetriesExhaustedError, match="ConnectError"), asking(state, llama):  # it is closed by now
        pass


def test_given_texts_are_scored_by_the_trainers_weights_in_float32(state: State, llama: LoadedModel) -> None:
    prompts, texts = [Prompt("p", "What is 2 + 3?"), Prompt("q", "Why?")], [" 2 + 3 = 5. #### 5", ""]
    with asking(state, llama) as engine:
        engine.reference.bf16 = True
        assert engine.logprob(prompts, texts) == engine_of(llama).logprob(prompts, texts)
        assert state.asked == []


def test_a_server_that_runs_already_takes_no_other_weights(state: State, llama: LoadedModel) -> None:
    with asking(state, llama) as engine:
        engine.sleep()
        assert generate(engine, [Prompt("p", "1+1?")], 1, GREEDY)
        with pytest.raises(RunError, match="cannot be given other weights"):
            engine.update_weights(lambda folder: None)


def test_batches_are_small_and_do_not_depend_on_what_is_in_flight(
    state: State, llama: LoadedModel, prompts: list[Prompt]
) -> None:
    with asking(state, llama, max_concurrency=1) as one, asking(state, llama, max_concurrency=99) as other:
        plan = one.plan(prompts, 4)
        assert plan == other.plan(prompts, 4) and max(map(len, plan)) * 4 == RESPONSES_PER_BATCH
        assert [len(batch) for batch in one.plan(prompts[:2], 64)] == [1, 1]
