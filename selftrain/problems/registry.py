"""The sets that the papers use, by name: where they are, how they are split, which columns they have.

Hub ids, configs, splits and columns were looked up in public copies of the data cards and of code that reads them;
what is marked "not confirmed" rests on memory. Nothing of it was fetched where this was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selftrain.errors import DataError
from selftrain.problems.hub import PARQUET_BRANCH
from selftrain.problems.shapes import APPS, BIG_BENCH, CHOICES, HUMANEVAL, LILA, MBPP, MBPP_SANITIZED, STORY, Shape

_MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)

_BIG_BENCH_HARD = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)


@dataclass(frozen=True)
class KnownSet:
    """KnownSet("grade-school sums", "openai/gsm8k", Shape(("question",), "answer"), train="train", configs=("main",))

    `train` and `test` are the hub's own names of those splits, None where the set has none.
    """

    about: str
    #: None: made up here, nothing is fetched.
    hub_id: str | None
    shape: Shape
    train: str | None = None
    test: str | None = "test"
    #: All of them are read, in this order.
    configs: tuple[str | None, ...] = (None,)
    revision: str | None = None

    def resolve(self, split: str | None) -> tuple[str, str]:
        """(our name, the hub's name) of a split: the one asked for, else train, else test where that is all there is.

        Raises DataError where the set has no such split. Names other than train and test are the hub's own.
        """
        ours = split or ("train" if self.train else "test")
        hubs = {"train": self.train, "test": self.test}.get(ours, ours)
        if hubs is None:
            there = "test" if self.test else "train"
            raise DataError(
                f"{self.hub_id} has no {ours} split, only {there}.",
                "There is nothing to read under that name.",
                f"Ask for {there}; to {ours} on something, name another set.",
            )
        return ours, hubs


_GSM8K_LIKE = Shape(("question",), "answer")
_MATH_LIKE = Shape(("problem",), "answer", solution="solution")

_KNOWN = {
    "word_problems": KnownSet(
        "made-up word problems of two to four steps; no download", None, _GSM8K_LIKE, train="train"
    ),
    "gsm8k": KnownSet("grade-school sums", "openai/gsm8k", _GSM8K_LIKE, train="train", configs=("main",)),
    "math": KnownSet(
        "competition mathematics, seven subjects",
        "EleutherAI/hendrycks_math",
        Shape(("problem",), "solution", solution="solution"),
        train="train",
        configs=_MATH_SUBJECTS,
    ),
    "math500": KnownSet("500 test problems of MATH", "HuggingFaceH4/MATH-500", _MATH_LIKE),
    "amc23": KnownSet("AMC 12 of 2023", "math-ai/amc23", _GSM8K_LIKE),
    # Published as "train" because the hub wants some name; it is for measuring.
    "aime24": KnownSet("AIME of 2024", "HuggingFaceH4/aime_2024", _MATH_LIKE, test="train"),
    "aime25": KnownSet("AIME of 2025", "math-ai/aime25", Shape(("problem",), "answer")),
    "olympiadbench": KnownSet(
        "olympiad problems, English, text only", "math-ai/olympiadbench", Shape(("question",), "final_answer")
    ),
    "minerva": KnownSet("undergraduate science and mathematics", "math-ai/minervamath", _GSM8K_LIKE),
    "multiarith": KnownSet(
        "sums of several steps", "ChilleD/MultiArith", Shape(("question",), "final_ans"), train="train"
    ),
    "svamp": KnownSet("varied one-step sums", "ChilleD/SVAMP", STORY, train="train"),
    "bbh": KnownSet(
        "BIG-Bench Hard, 27 tasks; never train on it", "SaylorTwift/bbh", BIG_BENCH, configs=_BIG_BENCH_HARD
    ),
    # Config and splits not confirmed.
    "aqua": KnownSet("algebra with five options", "deepmind/aqua_rat", CHOICES, train="train", configs=("raw",)),
    # LILA: id, configs and splits confirmed, columns not confirmed.
    "simuleq": KnownSet(
        "one or two unknowns, first answer only",
        "allenai/lila",
        LILA,
        train="train",
        configs=("simuleq",),
        revision=PARQUET_BRANCH,
    ),
    "addsub": KnownSet(
        "one-step sums", "allenai/lila", LILA, train="train", configs=("addsub",), revision=PARQUET_BRANCH
    ),
    "singleeq": KnownSet(
        "one equation", "allenai/lila", LILA, train="train", configs=("singleq",), revision=PARQUET_BRANCH
    ),
    # The config is confirmed; the columns are those of the sister set Calc-svamp, not confirmed here.
    "mawps": KnownSet(
        "one unknown; contains multiarith, addsub and singleeq",
        "MU-NLPC/Calc-mawps",
        Shape(("question",), "result_float"),
        train="train",
        configs=("original-splits",),
    ),
    "humaneval": KnownSet("164 Python functions to complete; only for measuring", "openai/openai_humaneval", HUMANEVAL),
    # Besides train and test: validation, and prompt (the ten tasks that its authors show as examples).
    "mbpp": KnownSet("short Python tasks", "google-research-datasets/mbpp", MBPP, train="train", configs=("full",)),
    "mbpp_sanitized": KnownSet(
        "those of mbpp that its authors checked by hand",
        "google-research-datasets/mbpp",
        MBPP_SANITIZED,
        train="train",
        configs=("sanitized",),
    ),
    # Its other configs are introductory, interview and competition.
    "apps": KnownSet(
        "programming contests and interviews; over 1 GB",
        "codeparrot/apps",
        APPS,
        train="train",
        configs=("all",),
        revision=PARQUET_BRANCH,
    ),
}


def registered() -> dict[str, KnownSet]:
    """Every set that has a name here, in the order in which it is best listed."""
    return dict(_KNOWN)


def find_known(name: str) -> tuple[str, KnownSet] | None:
    """The registered set called `name`, whatever its capitals, hyphens and underscores: "AIME-24" is "aime24"."""
    if re.search(r"[/.]", name):
        return None
    plain = re.sub(r"[\W_]", "", name.lower())
    return next(((key, known) for key, known in _KNOWN.items() if key.replace("_", "") == plain), None)
