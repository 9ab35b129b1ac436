"""A chat template that is told a fixed date where it asks for today's, as those of Llama 3 and gpt-oss do.

A run that is resumed after midnight would otherwise see other prompts, and evaluations of two days could not be
compared. transformers hands no function of ours to a template, so this one is written in the template's own language.
"""

from __future__ import annotations

from datetime import date, datetime, time

#: What the template of Llama 3.2 takes where it cannot ask.
TODAY = date(2024, 7, 26)
_ASKS = "strftime_now"
#: Of `strftime`; behind the others those that a "-" takes the leading zero from.
_DIRECTIVES, _WITH_ZERO = "aAbBcCdDeFGhHIjmMnprRSTuUVwWxXyY", "dHIjmMSUVWy"


def asks_for_date(template: object) -> bool:
    """Whether a template, or one of several, asks what day it is."""
    return _ASKS in str(template)


def with_pinned_date(template: str, today: date) -> str:
    """The template, in which `strftime_now` tells noon of `today`."""
    noon = datetime.combine(today, time(12))
    values = {f"%{directive}": noon.strftime(f"%{directive}") for directive in _DIRECTIVES}
    values |= {f"%-{directive}": values[f"%{directive}"].lstrip("0") or "0" for directive in _WITH_ZERO}
    replaced = "".join(f" | replace({name!r}, {value!r})" for name, value in values.items())
    # transformers has templates drop the end of a line behind a tag, so the first line stays the first.
    return f"{{%- macro {_ASKS}(format) -%}}{{{{ format{replaced} }}}}{{%- endmacro %}}\n{template}"
