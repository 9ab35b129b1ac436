"""A run's prompts as the messages that they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from selftrain.errors import SelftrainError
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer
from selftrain.models.source import find_source
from selftrain.storage import RunFolder
from selftrain.storage.journal import Reader
from selftrain.types import Prompt

Messages = list[dict[str, str]]


def chats_of(folder: RunFolder, table: str) -> dict[str, Messages]:
    """Prompt -> its messages, of the prompts in a table; empty unless all of them are known.

    They are known where the model's own tokenizer and the run's settings make the very text that was recorded. That is
    not so without a chat template, without the tokenizer, and where a prompt has more than the question: worked
    examples, or the answers of other models.
    """
    found: dict[str, Messages] = {}
    renderers = _renderers(folder)
    for model, question, prompt in folder.rows(f"select distinct model, question, prompt from {table}"):
        renderer = renderers.get(model)
        try:
            messages = renderer and renderer.messages(Prompt("", question))
            same = renderer is not None and renderer.text(Prompt("", question)) == prompt
        except SelftrainError:
            return {}
        if not messages or not same:
            return {}
        found[prompt] = messages
    return found


def _renderers(folder: RunFolder) -> Mapping[str, Renderer]:
    """By model, for those whose tokenizer can be loaded."""
    settings = Reader.read(folder.path).journal[0].metadata.get("settings", {})
    names = {field.name for field in fields(PromptConfig)}
    if not names <= settings.keys():
        return {}
    config = PromptConfig.from_dict({name: settings[name] for name in names})
    found = {}
    models = folder.environment().get("models")
    for model, base in models.items() if isinstance(models, Mapping) else ():
        tokenizer = _tokenizer(folder, model, base)
        if tokenizer is not None:
            try:
                found[model] = Renderer(tokenizer, config)
            except SelftrainError:
                continue
    return found


def _tokenizer(folder: RunFolder, model: str, base: str) -> Any:
    """That of a round's weights, or else of the base model; None where neither can be loaded."""
    for round_folder in sorted((folder.path / "weights").glob("round-*"), reverse=True):
        own = round_folder / model if (round_folder / model).is_dir() else round_folder
        if (own / "tokenizer_config.json").exists():
            return _load(str(own))
    return _load(base) if Path(base).exists() else None


def _load(name: str) -> Any:
    try:
        return find_source(name).load_tokenizer()
    except BaseException as error:  # of whoever reads the files, a panic of a parser among them
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return None
