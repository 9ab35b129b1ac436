"""Names, dotted paths, several judges at once, the control without a reward, and the self-test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grading.answers import grade, grade_all, problem, response
from selftrain.errors import JudgeError, SettingsError
from selftrain.grading import MathJudge, open_judge, self_test

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
    code = "import sys, selftrain.grading as g; g.open_judge('math').close(); "
    code += f"print({heavy} & set(sys.modules) or 'light')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "light"


def test_names_are_known() -> None:
    with open_judge("math") as judge:
        assert (judge.name, grade(judge, problem("18"), "#### 18").value) == ("math", 1.0)
    with open_judge("always_one") as judge:
        assert judge.name == "always_one"
        assert [s.value for s in grade_all(judge, [problem(None)] * 2, ["", "#### 18"])] == [1.0, 1.0]


@pytest.mark.parametrize("path", ["my_rewards:long", "my_rewards.long", "my_rewards:Kind.long"])
def test_a_dotted_path_is_imported(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def long(completions): return [2.0 for _ in completions]\nclass Kind:\n    long = staticmethod(long)\n"
    (tmp_path / "my_rewards.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    with open_judge(path) as judge:
        assert (judge.name, grade(judge, problem(), "x").value) == ("long", 2.0)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("maths", "There is no judge 'maths'"),
        ("no_such_module:f", "cannot be imported"),
        ("selftrain.grading:no_such_function", "cannot be imported"),
        ("selftrain.grading.__all__", "not a function"),
        (":f", "There is no judge"),
    ],
)
def test_a_judge_that_cannot_be_had_is_named(path: str, complaint: str) -> None:
    with pytest.raises(JudgeError, match=complaint):
        open_judge(path)


def test_several_judges_are_a_weighted_sum() -> None:
    with open_judge(["math", long], reward_weights=[1.0, 0.25]) as judge:
        assert judge.name == "math + long"
        score = grade(judge, problem("18"), "#### 18 apples")
        assert (score.value, score.answer, score.reason) == (1.25, "18 apples", "equal as numbers")
        assert grade(judge, problem("18"), "#### 1").value == 0.0
    with open_judge(long, reward_weights=[3.0]) as judge:
        assert grade(judge, problem(), "long enough").value == 3.0


def test_a_function_that_does_not_apply_is_left_out() -> None:
    with open_judge([long, nothing]) as judge:
        assert grade(judge, problem(), "long enough").value == 1.0
    with open_judge([nothing, nothing]) as judge:
        assert grade(judge, problem(), "long enough").value is None


def test_a_row_that_one_judge_cannot_judge_is_unjudged() -> None:
    with open_judge(["math", long]) as judge:
        score = grade(judge, problem("$%&!"), "#### long enough")
        assert (score.value, "gold answer cannot be read" in score.reason) == (None, True)
    with open_judge([long, fails_on_b]) as judge:
        problems = [problem(id="p0"), problem(id="p1")]
        scores = grade_all(judge, problems, ["aaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbb"])
        assert [score.value for score in scores] == [2.0, None]


@pytest.mark.parametrize(("reward_funcs", "weights"), [([], None), ("math", [1.0, 2.0]), (["math", long], [1.0])])
def test_settings_that_contradict_each_other(reward_funcs: Any, weights: Any) -> None:
    with pytest.raises(SettingsError):
        open_judge(reward_funcs, reward_weights=weights)


def test_an_answer_to_an_unknown_problem_is_a_failure(math_judge: MathJudge) -> None:
    with pytest.raises(JudgeError, match="problem 'q', which is not among the 1 given"):
        math_judge.grade([response("18", "q")], {"p": problem("18")})


def test_the_self_test_names_every_gold_the_judge_cannot_read(math_judge: MathJudge) -> None:
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
    failed = self_test(math_judge, readable + unreadable)
    assert [of for of, _ in failed] == unreadable
    assert all("gold answer cannot be read" in reason for _, reason in failed)
    assert self_test(math_judge, []) == []


def test_the_self_test_shows_a_function_its_own_golds() -> None:
    def hashes(completions: list[str], answer: list[str]) -> list[float]:
        return [float(text.endswith(f"#### {gold}")) for text, gold in zip(completions, answer, strict=True)]

    with open_judge(hashes) as judge:
        assert self_test(judge, [problem("18")]) == []
    with open_judge(long) as judge:
        assert self_test(judge, [problem("18")]) == []
    with open_judge(nothing) as judge:
        assert self_test(judge, [problem("18")]) == [(problem("18"), "reward function nothing returned None")]


def test_the_formulas_of_our_own_problems_pass_the_self_test(math_judge: MathJudge, data: Path) -> None:
    lines = (data / "math_format" / "verl_schema.jsonl").read_text(encoding="utf-8").splitlines()
    golds = [json.loads(line)["reward_model"]["ground_truth"] for line in lines]
    assert self_test(math_judge, [problem(gold, str(i)) for i, gold in enumerate(golds)]) == []
