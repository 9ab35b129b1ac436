"""HTML that cannot forget to escape: a string is text until `el` has made it markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from selftrain.report.visible import visible


class Markup(str):
    """A string that is HTML already. Only this file makes one from text."""

    __slots__ = ()


def markup(value: object) -> Markup:
    """Markup as it is, anything else as visible, escaped text."""
    return value if isinstance(value, Markup) else Markup(escape(visible(str(value))))


def join(parts: Iterable[object]) -> Markup:
    """Several pieces in a row. A plus sign would not do: it makes text of markup, to be escaped again."""
    return Markup("".join(markup(part) for part in parts))


def el(name: str, *children: object, **attributes: object) -> Markup:
    """el("td", "a < b", class_="num", aria_label="x") is <td class="num" aria-label="x">a &lt; b</td>.

    An attribute that is None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{markup(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{join(children)}</{name}>")
