"""From a prompt to the body of a request."""

from __future__ import annotations

from typing import Any

from selftrain.engines.request import GenerateRequest
from selftrain.errors import SettingsError
from selftrain.models.rendering import Renderer
from selftrain.types import Prompt


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
            "frequency_penalty": 0.0,
            "presence_penalty": 0.0,
            # 31 bits: servers take 32 or 64, signed or not, and one reserves the largest number for "any".
            "seed": start >> 33,
        }
        if stop := renderer.stop_texts(prompt):
            body["stop"] = list(stop)
        if extras:
            # Also where they are off: a server else uses the model's generation_config.json, or its own defaults.
            body |= {"top_k": params.top_k or -1, "min_p": 0.0, "return_token_ids": True}
            body["repetition_penalty"] = params.repetition_penalty
            # llama.cpp's names, and over all of the text, as elsewhere: its own default is the last 64 tokens.
            tokens = len(renderer.prompt_ids(prompt)) + params.max_completion_length
            body |= {"repeat_penalty": params.repetition_penalty, "repeat_last_n": tokens}
        elif params.repetition_penalty != 1.0:
            raise SettingsError(
                f"a repetition penalty of {params.repetition_penalty:g} is asked for, and server_extras is off",
                "OpenAI's API has no such parameter",
                "use --server_extras true with a server that takes it, or --engine transformers",
            )
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
