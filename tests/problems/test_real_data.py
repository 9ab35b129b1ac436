"""Every row of every file is read, as its README counts them."""

import re

import pytest

from selftrain.problems import load_problems, overlap
from selftrain.problems.references import last_box

FILES = {
    "gsm8k/train.jsonl": (7473, "math"),
    "gsm8k/test.jsonl": (1319, "math"),
    "multiarith/MultiArith.json": (600, "math"),
    "addsub/AddSub.json": (395, "math"),
    "singleeq/questions.json": (508, "math"),
    "mawps/mawps_source.json": (2373, "math"),
    "simuleq/alg514.jsonl": (514, "math"),
    "aqua/test.json": (254, "choice"),
    "math_format/hendrycks_schema.jsonl": (20, "math"),
    "math_format/math500_schema.jsonl": (20, "math"),
    "math_format/verl_schema.jsonl": (40, "math"),
    "bbh/bbh/boolean_expressions.json": (250, "exact"),
    "bbh/bbh/date_understanding.json": (250, "exact"),
    "bbh/bbh/multistep_arithmetic_two.json": (250, "math"),
    "bbh/bbh/object_counting.json": (250, "math"),
    "humaneval/HumanEval.jsonl.gz": (164, "code"),
    "mbpp/mbpp_prompt_validation_train.jsonl": (474, "code"),
    "apps": (3, "code"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_row_becomes_a_problem(data, name):
    problems = load_problems(data / name)
    rows, grader = FILES[name]
    assert (len(problems), problems.grader) == (rows, grader)
    assert all(problem.question and problem.reference for problem in problems)
    assert len({problem.id for problem in problems}) == rows


def test_gsm8k(data):
    problems = load_problems(data / "gsm8k", split="test")
    assert problems.name == "gsm8k/test"
    assert problems[0].id == "gsm8k/test/0"
    assert problems[0].reference == "18"
    assert problems[0].solution == problems[0].columns["answer"]
    assert all(re.fullmatch(r"-?\d+", problem.reference) for problem in problems)
    assert "reference <- answer (what follows the last ####, without separators)" in problems.mapping


def test_a_folder_defaults_to_train(data):
    assert load_problems(data / "gsm8k", max_problems=5).name == "gsm8k/train"


def test_multiarith_is_plain_and_its_repeats_are_counted(data):
    problems = load_problems(data / "multiarith" / "MultiArith.json")
    assert problems[0].reference == "39"
    assert problems[0].question.startswith("For Halloween")
    assert problems[0].columns["iIndex"] == 0
    assert problems.warnings == ("20 questions occur more than once",)
    assert all(1 <= int(problem.reference) <= 90 for problem in problems)


def test_addsub_strings_become_plain_numbers(data):
    references = {problem.reference for problem in load_problems(data / "addsub" / "AddSub.json")}
    assert {"14696", "9.43"} <= references
    assert not any(reference.endswith(".0") for reference in references)


def test_simuleq_lists_every_solution(data):
    problems = load_problems(data / "simuleq" / "alg514.jsonl")
    assert problems[1].reference == "17, 4"
    assert sum("," in problem.reference for problem in problems) == 423
    assert "423 references list several answers, all required" in problems.warnings


def test_aqua_shows_its_options_and_asks_for_a_letter(data):
    first = load_problems(data / "aqua" / "test.json")[0]
    assert first.reference == "A"
    assert first.question.endswith("E)None of these")
    assert first.solution.startswith("Explanation")


def test_the_three_math_shapes_agree(data):
    folder = data / "math_format"
    hendrycks = load_problems(folder / "hendrycks_schema.jsonl")
    math500 = load_problems(folder / "math500_schema.jsonl")
    verl = load_problems(folder / "verl_schema.jsonl")
    assert [problem.reference for problem in verl] == [problem.reference for problem in (*hendrycks, *math500)]
    assert [last_box(problem.solution) for problem in math500] == [problem.reference for problem in math500]
    assert all(problem.solution for problem in (*hendrycks, *math500))
    assert math500[0].id == "math_format/math500_schema/test/number_theory/900.json"


def test_bbh_folder_keeps_the_canary(data):
    problems = load_problems(data / "bbh" / "bbh")
    assert len(problems) == 1000
    assert all("canary GUID" in problem.columns["canary"] for problem in problems)
    assert problems[0].id == "bbh/bbh/boolean_expressions/0"
    assert len(load_problems(data / "bbh" / "bbh", dataset_config="object_counting")) == 250


@pytest.mark.parametrize("part", ["multiarith/MultiArith.json", "addsub/AddSub.json", "singleeq/questions.json"])
def test_mawps_contains_the_sets_it_was_made_from(data, part):
    inside = load_problems(data / part)
    assert len(overlap(load_problems(data / "mawps" / "mawps_source.json"), inside)) == len(inside)
