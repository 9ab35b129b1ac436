"""From prompts and completions to token ids, in one place for engines and trainer.

So the ids a model is prompted with, trained on and scored on are the same.
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
#: Size of the caches of prompt texts and ids, which every phase of every round needs again. Prompts come in a fixed
#: cycle, so an LRU cache helps only if all of them fit: these are a data set of 10,000 and its evaluation. A bare
#: question takes under 1 KB (16 MB in all), a few-shot prompt of 1,200 tokens some 10 KB (160 MB).
CACHED_PROMPTS = 16_384


@dataclass(frozen=True)
class TokenizedExample:
    """Prompt and completion as one sequence: `token_ids`, of which the first `prompt_length` are the prompt.

    TokenizedExample(token_ids=(5, 9, 12, 2), prompt_length=2, weight=1.0)
    """

    token_ids: tuple[int, ...]
    prompt_length: int
    weight: float = 1.0

    @property
    def completion_length(self) -> int:
        return len(self.token_ids) - self.prompt_length


class Renderer:
    """A tokenizer and a prompt layout.

    Args:
        extra_stop_ids: end tokens of the model's generation config.

    Raises:
        ModelError: the layout needs a chat template and the tokenizer has none, or there is no end token.
    """

    def __init__(self, tokenizer: Any, prompt_config: PromptConfig, extra_stop_ids: Iterable[int] = ()) -> None:
        self.tokenizer = tokenizer
        self.prompt_config = prompt_config
        has_template = bool(getattr(tokenizer, "chat_template", None))
        if prompt_config.prompt_format == "chat" and not has_template:
            raise ModelError(
                "prompt_format is 'chat', and the tokenizer has no chat template",
                "without one it is not known which chat format this model was trained on",
                "use --prompt_format plain, or a tokenizer with a chat template",
            )
        self.chat = has_template and prompt_config.prompt_format != "plain"
        eos = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        #: Ids that end an answer: the tokenizer's and the generation config's.
        self.stop_ids = frozenset(eos) | frozenset(extra_stop_ids)
        if not self.stop_ids:
            raise ModelError(
                "neither the tokenizer nor the generation config names an end token",
                "the model could never stop, and training could not teach it to",
                "set eos_token in tokenizer_config.json, or eos_token_id in generation_config.json",
            )
        #: The end token that is appended where the model did not write one itself.
        self.end_id: int = eos[0] if eos else min(self.stop_ids)
        self._cached_text = lru_cache(CACHED_PROMPTS)(self._render)
        self._cached_ids = lru_cache(CACHED_PROMPTS)(self._encode)

    @cached_property
    def pad_id(self) -> int:
        """Padding is outside every mask, so any id will do."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else self.end_id

    def text(self, prompt: Prompt) -> str:
        return self._cached_text(prompt)

    def _render(self, prompt: Prompt) -> str:
        return self._chat_text(prompt) if self.chat else self._plain_text(prompt)

    def _question(self, prompt: Prompt) -> str:
        """The question, followed by the answers of peers."""
        return "\n".join((prompt.question, *(f"Posted: {text.strip()}" for text in prompt.peer_answers)))

    def _plain_text(self, prompt: Prompt) -> str:
        def fill(question: str) -> str:
            # Not str.format: questions and templates may contain braces.
            return self.prompt_config.prompt_template.replace("{question}", question)

        few_shot = [f"{fill(question)} {solution.strip()}{SHOT_SEPARATOR}" for question, solution in prompt.few_shot]
        instruction = f"{self.prompt_config.instruction}{SHOT_SEPARATOR}" if self.prompt_config.instruction else ""
        return instruction + "".join(few_shot) + fill(self._question(prompt))

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
                "the model would be prompted without it",
                "use --prompt_format plain, or fix the chat template",
            )
        return text

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Ids of the prompt, in the plain layout with the tokenizer's start token; a new list each time."""
        return self._cached_ids(prompt).tolist()

    def _encode(self, prompt: Prompt) -> array[int]:
        # A chat template writes special tokens itself.
        ids: list[int] = self.tokenizer(self.text(prompt), add_special_tokens=not self.chat)["input_ids"]
        if not self.chat and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return array("i", ids)  # 4 bytes an id; in a list it is 40

    def completion_ids(self, completion: str) -> list[int]:
        """Ids of a text that this model did not generate, and the end token."""
        ids: list[int] = self.tokenizer(completion, add_special_tokens=False)["input_ids"]
        return [*ids, self.end_id]

    def completion_text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, special tokens removed."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def stop_texts(self, prompt: Prompt) -> tuple[str, ...]:
        """Stop strings: those of the settings, and in a few-shot prompt the start of a next example."""
        if self.chat or not prompt.few_shot:
            return self.prompt_config.stop_strings
        next_shot = SHOT_SEPARATOR + self.prompt_config.prompt_template.partition("{question}")[0].rstrip()
        return (*self.prompt_config.stop_strings, next_shot)

    def cut(self, token_ids: Sequence[int], stop_texts: Sequence[str]) -> tuple[tuple[int, ...], str]:
        """The ids entirely before the first stop string, and their text."""
        text = self.completion_text(token_ids)
        kept = list(token_ids)
        if places := [text.index(stop) for stop in stop_texts if stop in text]:
            before = text[: min(places)]
            while kept and len(self.completion_text(kept)) > len(before):
                kept.pop()
            text = self.completion_text(kept)
        return tuple(kept), text

    def tokenize(self, example: TrainingExample) -> TokenizedExample:
        """Prompt and completion as ids: the generated ids where there are some, ended by an end token.

        Generated ids that are `truncated` get no end token, or the model would learn to stop in mid-answer.
        """
        ids = self.completion_ids(example.completion) if example.token_ids is None else list(example.token_ids)
        if not ids or (ids[-1] not in self.stop_ids and not example.truncated):
            ids.append(self.end_id)
        prompt_ids = self.prompt_ids(example.prompt)
        return TokenizedExample((*prompt_ids, *ids), len(prompt_ids), example.weight)

    def tokenize_completions(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[TokenizedExample]:
        """Texts to be scored, each with its prompt and an end token."""
        pairs = zip(prompts, completions, strict=True)
        return [self.tokenize(TrainingExample(prompt, completion)) for prompt, completion in pairs]

    def tokenize_examples(self, examples: Sequence[TrainingExample]) -> list[TokenizedExample]:
        return [self.tokenize(example) for example in examples]


def batches_by_tokens(examples: Sequence[TokenizedExample], max_tokens: int) -> list[list[int]]:
    """Indices of the examples, in batches of similar length with at most `max_tokens` tokens, padding included.

    An example longer than that is a batch of its own.
    """
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i].token_ids), i))
    batches: list[list[int]] = []
    for index in order:
        # In order of length, so the newest example is the longest of its batch.
        if batches and (len(batches[-1]) + 1) * len(examples[index].token_ids) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
