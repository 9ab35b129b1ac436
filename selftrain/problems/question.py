"""The question that a model is shown: a text, what it leans on, or the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selftrain.problems.rows import excerpt

_SYSTEM = ("system", "developer")
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


def as_text(value: object) -> str:
    """A question that is a text or a chat. Raises ValueError if it is neither."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if not isinstance(value, list | tuple):
        raise ValueError(f"the question is a {type(value).__name__}, {excerpt(value)}")
    return _chat_as_text(value)


def _chat_as_text(messages: Sequence[object]) -> str:
    """The last message of the user, after the system message and the turns before it.

    What the assistant says after it is no question: a worked solution, or the start of one.
    """
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in messages]
    if "user" not in roles:
        raise ValueError(f"no message of the user in {excerpt(messages)}")
    end = len(roles) - roles[::-1].index("user")
    shown = [(role, _content(message)) for role, message in zip(roles[:end], messages, strict=False)]
    if strange := [role for role, _ in shown if role not in (*_SYSTEM, *_SPEAKERS)]:
        raise ValueError(f"a message before the question has the role {excerpt(strange[0])}, which cannot be shown")
    system = [text for role, text in shown if role in _SYSTEM]
    turns = [(str(role), text) for role, text in shown if role not in _SYSTEM]
    # The last one alone may be empty, which is then an empty question.
    said = [f"{_SPEAKERS[role]}: {text}" for role, text in turns] if len(turns) > 1 and turns[-1][1] else [turns[-1][1]]
    return "\n\n".join([*filter(None, system), *said]) if said[-1] else ""


def _content(message: object) -> str:
    content = message.get("content") if isinstance(message, Mapping) else None
    if content is None or isinstance(content, str):
        return (content or "").strip()
    parts = content if isinstance(content, list | tuple) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    for part, text in zip(parts, texts, strict=True):
        if not isinstance(text, str):
            raise ValueError(f"a message holds something that is no text and cannot be shown: {excerpt(part)}")
    return "\n".join(filter(None, texts)).strip()


def chat_parts(values: Sequence[object]) -> str:
    """What of the chats in a column becomes the question, in words; empty if they are no chats."""
    chats = [value for value in values if isinstance(value, list | tuple)]
    roles = [[message.get("role") for message in chat if isinstance(message, Mapping)] for chat in chats]
    before = ["the system message"] if any(role in _SYSTEM for chat in roles for role in chat) else []
    before += ["the earlier turns"] if any(chat.count("user") > 1 for chat in roles) else []
    if not chats:
        return ""
    return "the last message of the user" + (f", after {' and '.join(before)}" if before else "")


def is_context(values: Sequence[Any]) -> bool:
    """Whether a column holds texts, or lists of texts, that can be put before a question."""
    return any(values) and all(
        value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
        for value in values
    )


def with_context(context: Mapping[str, Any], question: str) -> str:
    """A question after what it leans on, by column; in one paragraph after a `body`, as SVAMP and ASDiv mean it."""
    texts = {name: "\n".join(text) if isinstance(text, list) else text or "" for name, text in context.items()}
    for name, text in reversed([(name, text.strip()) for name, text in texts.items()]):
        if not text or text in question:
            continue
        if name.lower() == "body":
            question = f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} {question}"
        else:
            question = f"{text}\n\n{question}"
    return question
