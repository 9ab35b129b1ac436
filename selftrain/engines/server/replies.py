"""From a prompt to a request, and from a server's words to an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selftrain.engines.rng import stream_start
from selftrain.models.rendering import Renderer, TokenizedExample
from selftrain.types import FinishReason, Prompt, SamplingParams

#: What servers call an end that the model chose.
_STOPPED = ("stop", "eos", "eos_token", "stop_sequence")


@dataclass(frozen=True)
class Reply:
    """One completion as a server gives it.

    Reply(text=" 3+4=7. #### 7", finish="stop", token_ids=(5, 9, 2), logprobs=(-1.5, -0.2, -0.1), prompt_tokens=31)
    """

    text: str
    finish: FinishReason
    #: With the end token, and with those of a stop text; None where it does not tell them.
    token_ids: tuple[int, ...] | None = None
    #: Of each token that it generated, in nats; None where it gives none.
    logprobs: tuple[float, ...] | None = None
    #: Whether the model wrote an end token; None where a stop text may have ended it as well.
    wrote_end: bool | None = None
    #: The stop text that ended it, where it says so.
    stop_text: str | None = None
    prompt_tokens: int | None = None


def read_reply(reply: Any) -> Reply:
    """
    Raises:
        ValueError, KeyError, TypeError, IndexError: it is no completion, or one that was broken off.
    """
    choice = reply["choices"][0]
    reason, text = choice["finish_reason"], choice["text"]
    if not isinstance(text, str) or reason not in ("length", *_STOPPED):
        raise ValueError(f"finish_reason is {reason!r}")
    ids, wrote_end = choice.get("token_ids"), None
    # What vLLM and SGLang call the stop text that ended it, or none.
    ended_by = choice.get("stop_reason", choice.get("matched_stop"))
    if reason == "length" or "stop_reason" in choice or "matched_stop" in choice:
        wrote_end = reason != "length" and not isinstance(ended_by, str)
    return Reply(
        text=text,
        finish="length" if reason == "length" else "stop",
        token_ids=tuple(map(int, ids)) if isinstance(ids, list) else None,
        logprobs=_logprobs(choice.get("logprobs")),
        wrote_end=wrote_end,
        stop_text=ended_by if isinstance(ended_by, str) else None,
        prompt_tokens=(reply.get("usage") or {}).get("prompt_tokens"),
    )


def _logprobs(told: Any) -> tuple[float, ...] | None:
    """In the form of OpenAI's completions, or in that of its chats, which llama.cpp uses for both."""
    if not isinstance(told, dict):
        return None
    content = told.get("content")
    values = [one.get("logprob") for one in content] if isinstance(content, list) else told.get("token_logprobs")
    if not values or not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        return None
    return tuple(map(float, values))


def request(
    renderer: Renderer, prompt: Prompt, index: int, sampling: SamplingParams, key: str, *, extras: bool
) -> dict[str, Any]:
    """The body that asks for one answer; nothing in it hangs on what else is asked."""
    body: dict[str, Any] = {
        "prompt": _as_read_once(renderer, prompt),
        "n": 1,
        "max_tokens": sampling.max_completion_length,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # 31 bits: servers take 32 or 64, signed or not, and one keeps the largest number for "any".
        "seed": stream_start(key, prompt.problem_id, index) >> 33,
    }
    if stop := renderer.stop_texts(prompt):
        body["stop"] = list(stop)
    if extras:
        # Said also where it is off: a server else takes what the model's generation_config.json or it itself prefers.
        body |= {"top_k": sampling.top_k or -1, "min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True}
    return body


def _as_read_once(renderer: Renderer, prompt: Prompt) -> str | list[int]:
    """The text that a server's tokenizer makes our ids of; the ids where no text would do.

    A server puts the start token in front by itself; where a chat template has written one, there would be two.
    """
    text, ids = renderer.text(prompt), renderer.prompt_ids(prompt)
    start = renderer.tokenizer.bos_token or ""
    for one in (text, text.removeprefix(start)):
        if renderer.tokenizer(one)["input_ids"] == ids:
            return one
    return ids


def tokens_and_text(reply: Reply, renderer: Renderer, stop_texts: tuple[str, ...]) -> tuple[tuple[int, ...], str]:
    """The ids of an answer, its end token among them where the model wrote one, and its text."""
    if reply.token_ids is not None:
        return renderer.cut(reply.token_ids, stop_texts)
    # With the stop text put back: it may begin within a token, none of which is then the answer's.
    whole = reply.text + (reply.stop_text or "")
    ids = renderer.completion_ids(whole)
    if any(stop in whole for stop in stop_texts):
        return renderer.cut(ids[:-1], stop_texts)
    wrote_end = not stop_texts if reply.wrote_end is None else reply.wrote_end
    return tuple(ids if wrote_end else ids[:-1]), reply.text


def logprob_of(reply: Reply, token_ids: tuple[int, ...]) -> float | None:
    """The sum over `token_ids`; None where the server's figures are not of these tokens."""
    values = reply.logprobs
    if values is None:
        return None
    if reply.token_ids is not None:
        fits = len(values) == len(reply.token_ids)
    else:
        # Where a stop text ended it, figures of its tokens stand behind those of the answer.
        by_text = reply.finish == "stop" and reply.wrote_end is False
        fits = len(values) > len(token_ids) if by_text else len(values) == len(token_ids)
    return sum(values[: len(token_ids)]) if fits else None


def row_of(renderer: Renderer, prompt: Prompt, token_ids: Sequence[int]) -> TokenizedExample:
    """Just these ids to score, without an end token that nobody wrote."""
    prompt_ids = renderer.prompt_ids(prompt)
    return TokenizedExample((*prompt_ids, *token_ids), len(prompt_ids))
