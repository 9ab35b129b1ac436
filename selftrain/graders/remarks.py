"""What follows "the answer is": a value, or a remark that takes no value back ("correct", "in dollars")."""

from __future__ import annotations

import re

_VALUE = re.compile(
    r"[\s*_`\"“'$€£¥(\[{+\-−~<≤≥√±]*(?:\d|\\|\.\d|[A-Z](?![\w'’]|\s[a-z])|[a-zA-Z]\s*=|[a-z]\(|[½⅓⅔¼¾π∞∅√])"
)
#: What a later statement may say instead of a value, and so take the earlier one back.
_TAKES_BACK = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{3,5}teen|(?:twen|thir|for|fif|six|seven"
    r"|eigh|nine)ty|hundred|thousand|[mb]illion|dozen|half|third|quarter|twice|double|no|not|none|nothing|never|neither"
    r"|nor|cannot|infinit\w+|un(?:defined|known|clear|bounded)|in(?:correct|valid|determinate|sufficient)|wrong|false"
    r"|empty|impossible|different|instead|rather|but|however|wait|mistake\w*|errors?|off by)\b|n['’]t\b",
    re.IGNORECASE,
)
#: Praise: it says nothing but that the answer stands.
_PRAISE = re.compile(
    r"(?:(?:indeed|also|therefore|thus|very|quite|clearly|now|logically|mathematically) )?(?:correct|right|reasonable"
    r"|sensible|consistent|accurate|plausible|unique|verified|confirmed|checked|complete|final|clear|good|fine|valid|exact"
    r"|true|yes|logical|as expected|as follows)\b",
    re.IGNORECASE,
)
#: How or in what form an answer is given.
_MANNER = re.compile(
    r"(?:(?:already|then|now|also|always|simply|usually) )?(?:in|of|to|as|for|by|from|with|within|at|on|because|since"
    r"|so|if|when|where|what|which|that|how|why|whether|the|an?|its?|this|these|our|your|you|positive|negative|even|odd"
    r"|whole|integer|prime|rational|simplified|larger|smaller|greater|less|more|found|given|put|written|shown|known|due|easy"
    r"|important|needed|required|same|close|similar|equal|equivalent|based|left|meant|[a-z]{3,}(?:ed|ible|able))\b",
    re.IGNORECASE,
)
#: Manners that name numbers: "rounded to 2 decimal places", "obtained by adding 10 and 8".
_MANNER_WITH_NUMBERS = re.compile(
    r"(?:rounded|accurate|correct|given|exact|expressed|written|simplified|in)\b[^=]*"
    r"\b(?:decimals?|places?|significant|nearest|digits?|base|terms|form)\b"
    r"|[a-z]+(?:ed|en|nd) (?:by|from|using|via|through) (?:\w+ing|the)\b(?!.*\b(?:get|gets|giv\w+|yield\w*)\b)[^=]*$",
    re.IGNORECASE,
)


def is_value(answer: str) -> bool:
    """Whether an answer holds a number, a formula or an option's letter."""
    return starts_with_value(answer) or any(map(str.isdigit, answer)) or "\\" in answer


def starts_with_value(text: str) -> bool:
    return bool(_VALUE.match(text))


def is_remark(text: str) -> bool:
    """Whether a sentence behind "the answer is" only says something about the answer."""
    text = text.strip(" *_\"'.!,:")
    if not text or starts_with_value(text) or _TAKES_BACK.search(text):
        return False
    if _PRAISE.match(text) or _MANNER_WITH_NUMBERS.match(text):
        return True
    return bool(_MANNER.match(text)) and not is_value(text)
