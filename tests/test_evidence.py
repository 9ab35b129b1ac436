"""The benchmark of real models: its settings are settings, and its problems are unseen."""

from __future__ import annotations

import pytest

from benchmarks.real.data import mawps, mbpp, templates
from benchmarks.real.jobs import flags
from benchmarks.real.settings import PARTS
from selftrain.cli.command import all_commands


@pytest.mark.parametrize("part", PARTS)
def test_its_runs_are_commands_with_settings_that_exist(part: str) -> None:
    for name, arm in PARTS[part].arms.items():
        given = {"model_name_or_path": "of-another-run"} if arm.of else {}
        data = {"output_dir": "run"} | ({"dataset_name": "answers.jsonl"} if arm.answers_of else {})
        command = all_commands()[arm.command]
        command.parse(flags(arm.settings | given | data))
        assert {arm.of, arm.answers_of} - {""} <= set(PARTS[part].arms), name
    assert {arm for claim in PARTS[part].claims for arm in claim.arms} <= set(PARTS[part].arms)


def test_questions_of_one_template_are_in_one_part() -> None:
    alike = [
        "Joan found 70 seashells on the beach . How many did she find ?",
        "Fred found 7 seashells on the beach. How many did she find?",
        "Sam found 7 old seashells on the beach. How many did she find?",
    ]
    other = "A pet store had 13 puppies and sold 7 of them in one day."
    assert templates([alike[0], other, *alike[1:]]) == [[0, 2, 3], [1]]
    rows = [{"sQuestion": question, "lSolutions": ["14,696.0"]} for question in (*alike, other)]
    train, test = mawps(rows)
    assert [*train, *test] == [{"question": row["question"], "answer": "14696"} for row in [*train, *test]]
    assert {row["question"] for row in [*train, *test]} == {alike[0], other}


def test_tasks_are_measured_on_mbpps_test_part_where_it_is_there() -> None:
    rows = [{"task_id": number} for number in (3, 11, 520, 601, 800)]
    assert [[row["task_id"] for row in part] for part in mbpp(rows)] == [[601, 800], [11]]
    del rows[1]
    assert [[row["task_id"] for row in part] for part in mbpp(rows)] == [[601], [520, 800]]
