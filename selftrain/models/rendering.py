"""From a prompt and a completion to token ids: the only place, for engines and trainer alike.

What a model is shown when it answers, what it is trained on and what it is scored on are thus the same ids.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from selftrain.errors import ModelError
from selftrain.models.prompts import PromptConfig
from selftrain.types import Prompt, TrainingExample

SHOT_SEPARATOR = "\n\n"
#: Prompts whose text and ids are kept: the check of lengths, the plan, the answering and every further round ask for
#: them again. They ask for all prompts in turn, so keeping the newest helps only where all fit; this many hold a data
#: set of 10,000 with its evaluation. A bare question takes under 1 KB (16 MB in all), a prompt of 1,200 tokens with
#: worked examples some 10 KB (160 MB).
KEPT_PROMPTS = 16_384


@dataclass(frozen=True)
class Row:
    """One text to compute on: `token_ids` whose first `prompt_length` are prompt, and a weight.

    Row(token_ids=(5, 9, 12, 2), prompt_length=2, weight=1.0)
    """

    token_ids: tuple[int, ...]
    prompt_length: int
    weight: float = 1.0

    @property
    def completion_length(self) -> int:
        return len(self.token_ids) - self.prompt_length


class Renderer:
    """A tokenizer and a layout.

    Raises:
        ModelError: the layout asks for a chat template and the tokenizer has none, or no end token is known.
    """

    def __init__(self, tokenizer: Any, prompt_config: PromptConfig, extra_stop_ids: Iterable[int] = ()) -> None:
        self.tokenizer = tokenizer
        self.prompt_config = prompt_config
        has_template = bool(getattr(tokenizer, "chat_template", None))
        if prompt_config.prompt_format == "chat" and not has_template:
            raise ModelError(
                "prompt_format is 'chat', and the tokenizer has no chat template",
                "there is no way to know how this model was taught to read a conversation",
                "use --prompt_format plain, or a tokenizer with a chat template",
            )
        self.chat = has_template and prompt_config.prompt_format != "plain"
        own_end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        #: Ids that end an answer; the union of the tokenizer's and the generation config's.
        self.stop_ids = frozenset(own_end) | frozenset(extra_stop_ids)
        if not self.stop_ids:
            raise ModelError(
                "neither the tokenizer nor the generation config names an end token",
                "the model could never stop, and training could not teach it to",
                "set eos_token in tokenizer_config.json, or eos_token_id in generation_config.json",
            )
        #: The end token that is trained on where an answer was not ended by the model itself.
        self.end_id: int = own_end[0] if own_end else min(self.stop_ids)
        self._kept_text = lru_cache(KEPT_PROMPTS)(self._render)
        self._kept_ids = lru_cache(KEPT_PROMPTS)(self._encode)

    @cached_property
    def pad_id(self) -> int:
        """Filler outside every mask, so any id does; never counted, never trained on."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else self.end_id

    def text(self, prompt: Prompt) -> str:
        return self._kept_text(prompt)

    def _render(self, prompt: Prompt) -> str:
        return self._chat_text(prompt) if self.chat else self._plain_text(prompt)

    def _question(self, prompt: Prompt) -> str:
        """The question, followed by what others posted."""
        return "\n".join((prompt.question, *(f"Posted: {text.strip()}" for text in prompt.peer_answers)))

    def _plain_text(self, prompt: Prompt) -> str:
        def fill(question: str) -> str:
            # Not str.format: questions and templates may hold braces of their own.
            return self.prompt_config.prompt_template.replace("{question}", question)

        few_shot = [f"{fill(question)} {solution.strip()}{SHOT_SEPARATOR}" for question, solution in prompt.few_shot]
        opening = f"{self.prompt_config.instruction}{SHOT_SEPARATOR}" if self.prompt_config.instruction else ""
        return opening + "".join(few_shot) + fill(self._question(prompt))

    def _chat_text(self, prompt: Prompt) -> str:
        system = (
            [{"role": "system", "content": self.prompt_config.instruction}] if self.prompt_config.instruction else []
        )
        few_shot = [
            {"role": role, "content": text}
            for shot in prompt.few_shot
            for role, text in zip(("user", "assistant"), shot, strict=True)
        ]
        messages = [*system, *few_shot, {"role": "user", "content": self._question(prompt)}]
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if prompt.question.strip() and prompt.question.strip() not in text:
            raise ModelError(
                f"the chat template drops the question of problem {prompt.problem_id!r}",
                "the model would answer something it was never asked",
                "use --prompt_format plain, or repair the chat template",
            )
        return text

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Ids of the prompt, with the tokenizer's own start token in the plain layout; the caller's to change."""
        return self._kept_ids(prompt).tolist()

    def _encode(self, prompt: Prompt) -> array[int]:
        # A chat template writes its special tokens itself.
        ids: list[int] = self.tokenizer(self.text(prompt), add_special_tokens=not self.chat)["input_ids"]
        if not self.chat and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return array("i", ids)  # 4 bytes an id, where a list takes 40

    def completion_ids(self, completion: str) -> list[int]:
        """Ids of a text that another wrote, and the end token."""
        ids: list[int] = self.tokenizer(completion, add_special_tokens=False)["input_ids"]
        return [*ids, self.end_id]

    def completion_text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def stop_texts(self, prompt: Prompt) -> tuple[str, ...]:
        """What ends an answer besides an end token: what was asked for, and the start of a next worked example."""
        if self.chat or not prompt.few_shot:
            return self.prompt_config.stop_strings
        next_one = SHOT_SEPARATOR + self.prompt_config.prompt_template.partition("{question}")[0].rstrip()
        return (*self.prompt_config.stop_strings, next_one)

    def cut(self, token_ids: Sequence[int], stop_texts: Sequence[str]) -> tuple[tuple[int, ...], str]:
        """The ids that lie wholly before the first stop text, and their text."""
        text = self.completion_text(token_ids)
        kept = list(token_ids)
        if places := [text.index(stop) for stop in stop_texts if stop in text]:
            before = text[: min(places)]
            while kept and len(self.completion_text(kept)) > len(before):
                kept.pop()
            text = self.completion_text(kept)
        return tuple(kept), text

    def row(
        self, prompt: Prompt, completion: str, token_ids: Sequence[int] | None, weight: float = 1.0,
        cut_off: bool = False,
    ) -> Row:  # fmt: skip
        """Prompt and completion as ids; the model's own ids where there are some, ended by an end token.

        Own ids that were `cut_off` get no end token: the model would learn to stop in the middle of an answer.
        """
        ids = self.completion_ids(completion) if token_ids is None else list(token_ids)
        if not ids or (ids[-1] not in self.stop_ids and not cut_off):
            ids.append(self.end_id)
        prompt_ids = self.prompt_ids(prompt)
        return Row((*prompt_ids, *ids), len(prompt_ids), weight)

    def training_rows(self, examples: Sequence[TrainingExample]) -> list[Row]:
        return [self.row(e.prompt, e.completion, e.token_ids, e.weight, e.cut_off) for e in examples]


def batches_by_tokens(rows: Sequence[Row], budget: int) -> list[list[int]]:
    """Indices of rows cut into batches of like length with at most `budget` tokens, padding included.

    A row longer than the budget is a batch of its own.
    """
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].token_ids), i))
    batches: list[list[int]] = []
    for index in order:
        # Rows come by rising length, so the newest one is the width of the batch.
        if batches and (len(batches[-1]) + 1) * len(rows[index].token_ids) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
