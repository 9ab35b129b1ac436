"""From a prompt to the body of a request, and from a server's reply to the tokens of a response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selftrain.engines.request import GenerateRequest
from selftrain.models.rendering import Renderer, TokenizedExample
from selftrain.types import FinishReason, Prompt

#: What servers call an end that the model chose.
_STOPPED = ("stop", "eos", "eos_token", "stop_sequence")


@dataclass(frozen=True)
class Reply:
    """One completion as a server returns it.

    Reply(text=" 3+4=7. #### 7", finish_reason="stop", token_ids=(5, 9, 2), logprobs=(-1.5, -0.2, -0.1),
          prompt_tokens=31)
    """

    text: str
    finish_reason: FinishReason
    #: With the end token, and with those of a stop string; None where the server does not return them.
    token_ids: tuple[int, ...] | None = None
    #: Of each generated token, in nats; None where the server does not return them.
    logprobs: tuple[float, ...] | None = None
    #: Whether the model wrote an end token; None where a stop string may have ended it as well.
    wrote_end: bool | None = None
    #: The stop string that ended it, where the server says so.
    stop_string: str | None = None
    prompt_tokens: int | None = None


def read_reply(reply: Any) -> Reply:
    """
    Raises:
        ValueError, KeyError, TypeError, IndexError: it is not a completion, or an incomplete one.
    """
    choice = reply["choices"][0]
    reason, text = choice["finish_reason"], choice["text"]
    if not isinstance(text, str) or reason not in ("length", *_STOPPED):
        raise ValueError(f"finish_reason is {reason!r}")
    ids, wrote_end = choice.get("token_ids"), None
    # vLLM's and SGLang's names for the stop string that ended it, or none.
    ended_by = choice.get("stop_reason", choice.get("matched_stop"))
    if reason == "length" or "stop_reason" in choice or "matched_stop" in choice:
        wrote_end = reason != "length" and not isinstance(ended_by, str)
    return Reply(
        text=text,
        finish_reason="length" if reason == "length" else "stop",
        token_ids=tuple(map(int, ids)) if isinstance(ids, list) else None,
        logprobs=_logprobs(choice.get("logprobs")),
        wrote_end=wrote_end,
        stop_string=ended_by if isinstance(ended_by, str) else None,
        prompt_tokens=(reply.get("usage") or {}).get("prompt_tokens"),
    )


def _logprobs(found: Any) -> tuple[float, ...] | None:
    """In the form of OpenAI's completions, or in that of its chats, which llama.cpp uses for both."""
    if not isinstance(found, dict):
        return None
    content = found.get("content")
    values = [token.get("logprob") for token in content] if isinstance(content, list) else found.get("token_logprobs")
    if not values or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return tuple(map(float, values))


def request_bodies(request: GenerateRequest, renderer: Renderer, *, extras: bool) -> list[dict[str, Any]]:
    """One body a response, in order; none depends on what else is requested.

    Args:
        extras: whether the server takes parameters that OpenAI does not define.
    """
    params, bodies = request.params, []
    for (prompt, _), start in zip(request.numbered(), request.stream_starts(), strict=True):
        body: dict[str, Any] = {
            "prompt": _prompt_for_server(renderer, prompt),
            "n": 1,
            "max_tokens": params.max_completion_length,
            "temperature": params.temperature,
            "top_p": params.top_p,
            # 31 bits: servers take 32 or 64, signed or not, and one reserves the largest number for "any".
            "seed": start >> 33,
        }
        if stop := renderer.stop_texts(prompt):
            body["stop"] = list(stop)
        if extras:
            # Also where they are off: a server else uses the model's generation_config.json, or its own defaults.
            body |= {"top_k": params.top_k or -1, "min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True}
        bodies.append(body)
    return bodies


def _prompt_for_server(renderer: Renderer, prompt: Prompt) -> str | list[int]:
    """The text of which a server's tokenizer makes our ids; the ids themselves where no text does.

    A server puts the start token in front; where a chat template has written one as well, there would be two.
    """
    text, ids = renderer.text(prompt), renderer.prompt_ids(prompt)
    start = renderer.tokenizer.bos_token or ""
    for candidate in (text, text.removeprefix(start)):
        if renderer.tokenizer(candidate)["input_ids"] == ids:
            return candidate
    return ids


def tokens_and_text(reply: Reply, renderer: Renderer, stop_strings: tuple[str, ...]) -> tuple[tuple[int, ...], str]:
    """The ids of a completion, with its end token where the model wrote one, and its text."""
    if reply.token_ids is not None:
        return renderer.cut(reply.token_ids, stop_strings)
    # With the stop string put back: it may begin within a token, which is then not part of the completion.
    whole = reply.text + (reply.stop_string or "")
    ids = renderer.completion_ids(whole)
    if any(stop in whole for stop in stop_strings):
        return renderer.cut(ids[:-1], stop_strings)
    wrote_end = not stop_strings if reply.wrote_end is None else reply.wrote_end
    return tuple(ids if wrote_end else ids[:-1]), reply.text


def logprob_of(reply: Reply, token_ids: tuple[int, ...]) -> float | None:
    """The sum over `token_ids`; None where the server's values belong to other tokens."""
    values = reply.logprobs
    if values is None:
        return None
    if reply.token_ids is not None:
        fits = len(values) == len(reply.token_ids)
    else:
        # After a stop string, its own tokens' values follow those of the completion.
        by_string = reply.finish_reason == "stop" and reply.wrote_end is False
        fits = len(values) > len(token_ids) if by_string else len(values) == len(token_ids)
    return sum(values[: len(token_ids)]) if fits else None


def row_of(renderer: Renderer, prompt: Prompt, token_ids: Sequence[int]) -> TokenizedExample:
    """Exactly these ids to score, without an end token that the model did not write."""
    prompt_ids = renderer.prompt_ids(prompt)
    return TokenizedExample((*prompt_ids, *token_ids), len(prompt_ids))
