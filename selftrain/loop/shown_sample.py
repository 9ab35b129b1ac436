"""One sample in two lines: the question, and the answer with its verdict. Whatever a model wrote, it stays text."""

from __future__ import annotations

from selftrain.report.visible import visible
from selftrain.types import Response, Sample, Score

#: Columns of the lines where there is no terminal that has fewer.
WIDTH = 120
#: Characters of a text that are looked at, of its beginning and of its end: a longer one is never shown whole.
_MOST = 1000
#: Columns of a reason.
_REASON = 40


def sample_lines(sample: Sample, width: int = WIDTH, *, for_training: bool) -> tuple[str, str]:
    """
    Args:
        width: columns of a line.
        for_training: whether the sample was kept or dropped; no sample of an evaluation is either.
    """
    verdict = _verdict(sample.score)
    if for_training:
        verdict += f", {_fate(sample)}"
    return _lines(sample.response, verdict, width)


def response_lines(response: Response, width: int = WIDTH) -> tuple[str, str]:
    """The same of an answer that has no verdict yet."""
    return _lines(response, "not graded yet", width)


def fitting(text: str, width: int, *, middle: bool = False) -> str:
    """`text` in one line of at most `width` columns, in which every character is seen and none acts.

    Args:
        middle: leave out of the middle, not of the end.
    """
    from rich.cells import cell_len, set_cell_size

    if len(text) > 2 * _MOST:
        text = f"{text[:_MOST]}{text[-_MOST:]}"
    # Not beyond ASCII: a space of another script is one column or two, and some terminals break lines at it.
    line = " ".join(visible(text.replace("\t", " ")).split())
    if cell_len(line) <= width:
        return line
    begins = (width - 1) // 2 if middle else width - 1
    rest = width - 1 - begins
    end = set_cell_size(line[::-1], rest)[::-1].lstrip() if rest > 0 else ""
    return f"{set_cell_size(line, max(0, begins)).rstrip()}…{end}"


def _lines(response: Response, verdict: str, width: int) -> tuple[str, str]:
    verdict = f"  [{fitting(verdict, max(12, width // 2))}]"
    # An answer's end is what is graded.
    answer = fitting(response.text, max(8, width - 5 - len(verdict)), middle=True)
    return f"  Q: {fitting(response.prompt.question, width - 5)}", f"  A: {answer}{verdict}"


def _verdict(score: Score) -> str:
    if score.value is None:
        # Nothing judges it where there is no reward: what it answers is all that is known.
        read = f"answers {score.extracted_answer}" if score.extracted_answer is not None else score.reason
        return fitting(read, _REASON) or "no verdict"
    if score.value in (0.0, 1.0):
        reason = fitting(score.reason, _REASON)
        return ("right" if score.value else "wrong") + (f": {reason}" if reason else "")
    return f"reward {score.value:.3g}"


def _fate(sample: Sample) -> str:
    if not sample.kept:
        return f"dropped as {sample.drop_reason}"
    return "kept" if sample.weight in (0.0, 1.0) else f"kept with weight {sample.weight:.3g}"
