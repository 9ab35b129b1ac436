"""Names, dotted paths, several graders at once, the ablation without a reward, and the self-test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selftrain.errors import GraderError, SettingsError
from selftrain.graders import MathGrader, open_grader, self_test
from tests.graders.answers import grade, grade_all, problem, response

PACKAGE = Path(__file__).parents[2]


def long(completions: list[str]) -> list[float]:
    return [float(len(text) > 9) for text in completions]


def nothing(completions: list[str]) -> list[None]:
    return [None] * len(completions)


def fails_on_b(completions: list[str]) -> list[float]:
    if any("b" in text for text in completions):
        raise ValueError("b")
    return [1.0] * len(completions)


def test_grading_is_light_to_import() -> None:
    heavy = "{'math_verify', 'sympy', 'latex2sympy2_extended', 'torch', 'trl', 'transformers', 'numpy'}"
    code = "import sys, selftrain.graders as g; g.open_grader('math').close(); "
    code += f"print({heavy} & set(sys.modules) or 'light')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "light"


def test_names_are_known() -> None:
    with open_grader("math") as grader:
        assert (grader.name, grade(grader, problem("18"), "#### 18").value) == ("math", 1.0)
    with open_grader("always_one") as grader:
        assert grader.name == "always_one"
        assert [s.value for s in grade_all(grader, [problem(None)] * 2, ["", "#### 18"])] == [1.0, 1.0]


@pytest.mark.parametrize("path", ["my_rewards:long", "my_rewards.long", "my_rewards:Kind.long"])
def test_a_dotted_path_is_imported(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def long(completions): return [2.0 for _ in completions]\nclass Kind:\n    long = staticmethod(long)\n"
    (tmp_path / "my_rewards.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    with open_grader(path) as grader:
        assert (grader.name, grade(grader, problem(), "x").value) == ("long", 2.0)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("maths", "There is no grader 'maths'"),
        ("no_such_module:f", "cannot be imported"),
        ("selftrain.graders:no_such_function", "cannot be imported"),
        ("selftrain.graders.__all__", "not a function"),
        (":f", "There is no grader"),
    ],
)
def test_a_grader_that_cannot_be_had_is_named(path: str, complaint: str) -> None:
    with pytest.raises(GraderError, match=complaint):
        open_grader(path)


def test_several_graders_are_a_weighted_sum() -> None:
    with open_grader(["math", long], reward_weights=[1.0, 0.25]) as grader:
        assert grader.name == "math + long"
        score = grade(grader, problem("18"), "#### 18 apples")
        assert (score.value, score.extracted_answer, score.reason) == (1.25, "18 apples", "equal as numbers")
        assert grade(grader, problem("18"), "#### 1").value == 0.0
    with open_grader(long, reward_weights=[3.0]) as grader:
        assert grade(grader, problem(), "long enough").value == 3.0


def test_a_function_that_does_not_apply_is_left_out() -> None:
    with open_grader([long, nothing]) as grader:
        assert grade(grader, problem(), "long enough").value == 1.0
    with open_grader([nothing, nothing]) as grader:
        assert grade(grader, problem(), "long enough").value is None


def test_a_row_that_one_grader_cannot_grader_is_unjudged() -> None:
    with open_grader(["math", long]) as grader:
        score = grade(grader, problem("$%&!"), "#### long enough")
        assert (score.value, "gold answer cannot be read" in score.reason) == (None, True)
    with open_grader([long, fails_on_b]) as grader:
        problems = [problem(id="p0"), problem(id="p1")]
        scores = grade_all(grader, problems, ["aaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbb"])
        assert [score.value for score in scores] == [2.0, None]


@pytest.mark.parametrize(("reward_funcs", "weights"), [([], None), ("math", [1.0, 2.0]), (["math", long], [1.0])])
def test_settings_that_contradict_each_other(reward_funcs: Any, weights: Any) -> None:
    with pytest.raises(SettingsError):
        open_grader(reward_funcs, reward_weights=weights)


def test_an_answer_to_an_unknown_problem_is_a_failure(math_grader: MathGrader) -> None:
    with pytest.raises(GraderError, match="problem 'q', which is not among the 1 given"):
        math_grader.grade([response("18", "q")], {"p": problem("18")})


def test_the_self_test_names_every_gold_the_grader_cannot_read(math_grader: MathGrader) -> None:
    golds = [
        "18",
        "14,916",
        "\\frac{1}{2}",
        "(3,4)",
        "x^2+1",
        "Evelyn",
        "so\n#### 7",
        "is $\\boxed{x}$",
        "15, 9",
        "5\\%",
    ]
    readable = [problem(gold, gold) for gold in golds]
    unreadable = [problem(gold, str(gold)) for gold in (None, "", "\\frac{", "####", "9^{9^{9^9}}")]
    failed = self_test(math_grader, readable + unreadable)
    assert [of for of, _ in failed] == unreadable
    assert all("gold answer cannot be read" in reason for _, reason in failed)
    assert self_test(math_grader, []) == []


def test_the_self_test_shows_a_function_its_own_golds() -> None:
    def hashes(completions: list[str], answer: list[str]) -> list[float]:
        return [float(text.endswith(f"#### {gold}")) for text, gold in zip(completions, answer, strict=True)]

    with open_grader(hashes) as grader:
        assert self_test(grader, [problem("18")]) == []
    with open_grader(long) as grader:
        assert self_test(grader, [problem("18")]) == []
    with open_grader(nothing) as grader:
        assert self_test(grader, [problem("18")]) == [(problem("18"), "reward function nothing returned None")]


def test_the_formulas_of_our_own_problems_pass_the_self_test(math_grader: MathGrader, data: Path) -> None:
    lines = (data / "math_format" / "verl_schema.jsonl").read_text(encoding="utf-8").splitlines()
    golds = [json.loads(line)["reward_model"]["ground_truth"] for line in lines]
    assert self_test(math_grader, [problem(gold, str(i)) for i, gold in enumerate(golds)]) == []
