"""The papers' datasets by name: where they are, their splits and columns.

Hub ids, configs, splits and columns come from public copies of the data cards and of code that reads them; what is
marked "not confirmed" comes from memory. Nothing was downloaded to verify them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selftrain.errors import DataError
from selftrain.problems import columns
from selftrain.problems.columns import ColumnMapping
from selftrain.problems.hub import PARQUET_BRANCH

_MATH_SUBJECTS = """
algebra counting_and_probability geometry intermediate_algebra number_theory prealgebra precalculus
"""
_BIG_BENCH_HARD = """
boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages formal_fallacies
geometric_shapes hyperbaton logical_deduction_five_objects logical_deduction_seven_objects
logical_deduction_three_objects movie_recommendation multistep_arithmetic_two navigate object_counting
penguins_in_a_table reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks
sports_understanding temporal_sequences tracking_shuffled_objects_five_objects
tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects web_of_lies word_sorting
"""


@dataclass(frozen=True)
class KnownDataset:
    """KnownDataset("grade-school sums", "openai/gsm8k", ColumnMapping("question", "answer"))

    `train` and `test` are the Hub's names of those splits, None if the dataset has none.
    """

    about: str
    #: None: generated, nothing is downloaded.
    hub_id: str | None
    mapping: ColumnMapping
    train: str | None = "train"
    test: str | None = "test"
    #: All of them are read, in this order.
    configs: tuple[str | None, ...] = (None,)
    revision: str | None = None

    def resolve(self, split: str | None) -> tuple[str, str]:
        """(our name, the hub's name) of a split: the one requested, else train, else test.

        Names other than train and test are the hub's own.

        Raises:
            DataError: the dataset has no such split.
        """
        name = split or ("train" if self.train else "test")
        hub_name = {"train": self.train, "test": self.test}.get(name, name)
        if hub_name is None:
            other = "test" if self.test else "train"
            raise DataError(
                f"{self.hub_id} has no {name} split, only {other}.",
                "There is nothing to read under that name.",
                f"Ask for {other}; to {name} on something, name another dataset.",
            )
        return name, hub_name


_GSM8K_LIKE = ColumnMapping("question", "answer")
_MATH_LIKE = ColumnMapping("problem", "answer", solution="solution")
_MBPP = "google-research-datasets/mbpp"


def _lila(about: str, config: str) -> KnownDataset:
    """A set of LILA. Id, configs and splits confirmed, columns not confirmed."""
    return KnownDataset(about, "allenai/lila", columns.LILA, configs=(config,), revision=PARQUET_BRANCH)


_KNOWN = {
    "word_problems": KnownDataset("generated word problems of two to four steps; no download", None, _GSM8K_LIKE),
    "gsm8k": KnownDataset("grade-school sums", "openai/gsm8k", _GSM8K_LIKE, configs=("main",)),
    "math": KnownDataset(
        "competition mathematics, seven subjects",
        "EleutherAI/hendrycks_math",
        ColumnMapping("problem", "solution", solution="solution"),
        configs=tuple(_MATH_SUBJECTS.split()),
    ),
    "math500": KnownDataset("500 test problems of MATH", "HuggingFaceH4/MATH-500", _MATH_LIKE, train=None),
    "amc23": KnownDataset("AMC 12 of 2023", "math-ai/amc23", _GSM8K_LIKE, train=None),
    # Published as "train", but made for evaluation.
    "aime24": KnownDataset("AIME of 2024", "HuggingFaceH4/aime_2024", _MATH_LIKE, train=None, test="train"),
    "aime25": KnownDataset("AIME of 2025", "math-ai/aime25", ColumnMapping("problem", "answer"), train=None),
    "olympiadbench": KnownDataset(
        "olympiad problems, English, text only",
        "math-ai/olympiadbench",
        ColumnMapping("question", "final_answer"),
        train=None,
    ),
    "minerva": KnownDataset("undergraduate science and mathematics", "math-ai/minervamath", _GSM8K_LIKE, train=None),
    "multiarith": KnownDataset("sums of several steps", "ChilleD/MultiArith", ColumnMapping("question", "final_ans")),
    "svamp": KnownDataset("varied one-step sums", "ChilleD/SVAMP", ColumnMapping("Question", "Answer")),
    "bbh": KnownDataset(
        "BIG-Bench Hard, 27 tasks; never train on it",
        "SaylorTwift/bbh",
        columns.BIG_BENCH,
        train=None,
        configs=tuple(_BIG_BENCH_HARD.split()),
    ),
    # Config and splits not confirmed.
    "aqua": KnownDataset(
        "algebra with five options",
        "deepmind/aqua_rat",
        ColumnMapping("question", "correct", solution="rationale", grader="choice"),
        configs=("raw",),
    ),
    "simuleq": _lila("one or two unknowns, first answer only", "simuleq"),
    "addsub": _lila("one-step sums", "addsub"),
    "singleeq": _lila("one equation", "singleq"),
    # The config is confirmed; the columns are those of the sister set Calc-svamp, not confirmed here.
    "mawps": KnownDataset(
        "one unknown; contains multiarith, addsub and singleeq",
        "MU-NLPC/Calc-mawps",
        ColumnMapping("question", "result_float"),
        configs=("original-splits",),
    ),
    "humaneval": KnownDataset(
        "164 Python functions to complete; only for measuring", "openai/openai_humaneval", columns.HUMANEVAL, train=None
    ),
    # Besides train and test: validation, and prompt (the ten tasks that its authors show as examples).
    "mbpp": KnownDataset("short Python tasks", _MBPP, columns.MBPP, configs=("full",)),
    "mbpp_sanitized": KnownDataset(
        "those of mbpp that its authors checked by hand", _MBPP, columns.MBPP_SANITIZED, configs=("sanitized",)
    ),
    # Its other configs are introductory, interview and competition.
    "apps": KnownDataset(
        "programming contests and interviews; over 1 GB",
        "codeparrot/apps",
        columns.APPS,
        configs=("all",),
        revision=PARQUET_BRANCH,
    ),
}


def known_datasets() -> dict[str, KnownDataset]:
    """Every dataset with a name, in the order for listings."""
    return dict(_KNOWN)


def find_known(name: str) -> tuple[str, KnownDataset] | None:
    """The dataset called `name`, ignoring case, hyphens and underscores: "AIME-24" is "aime24"."""
    if re.search(r"[/.]", name):
        return None
    plain = re.sub(r"[\W_]", "", name.lower())
    return next(((key, known) for key, known in _KNOWN.items() if key.replace("_", "") == plain), None)
