"""Protocols beside the harnesses that they follow: what lm-eval writes of an evaluation, and how ours differs from it.

    python -m benchmarks.protocols theirs OUT --data gsm8k --tasks gsm8k gsm8k_cot [--model MODEL --limit 200]
    selftrain eval --protocol lm-eval:gsm8k --dataset_name gsm8k --model_name_or_path MODEL --output_dir OURS
    python -m benchmarks.protocols compare OUT/MODEL OURS/MODEL

The first needs lm-eval 0.4.13 and a folder with train.jsonl and test.jsonl; without --model it writes the requests
alone, which takes seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FILES = {"gsm8k": "gsm8k", "gsm8k_cot": "gsm8k-cot", "gsm8k_cot_zeroshot": "gsm8k-cot-zeroshot"}
#: Fields of a sample that both have to have, with the same values.
_HELD = ("doc", "target", "arguments", "resps", "filtered_resps", "doc_hash", "prompt_hash", "target_hash", "metrics")


def theirs(options: argparse.Namespace) -> None:
    """Runs lm-eval on local files, by default prompts one by one."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as folder:
        for task in options.tasks:
            _write_task(Path(folder), task, Path(options.data).resolve())
        tasks, names = TaskManager(include_path=folder), [f"local_{task}" for task in options.tasks]
        if options.model is None:
            return _write_requests(Path(options.out), tasks, names, options.limit)
        tracker = EvaluationTracker(output_path=options.out)
        results = simple_evaluate(
            model="hf", model_args={"pretrained": options.model, "dtype": "float32"}, tasks=names, limit=options.limit,
            batch_size=options.batch_size, device="cpu", task_manager=tasks, evaluation_tracker=tracker,
            apply_chat_template=options.chat, fewshot_as_multiturn=options.chat,
        )  # fmt: skip
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        tracker.save_results_samples(task_name=name, samples=rows)
    return None


def _write_task(folder: Path, task: str, data: Path) -> None:
    """lm-eval's own task on local files."""
    import lm_eval

    original = Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / f"{_FILES[task]}.yaml"
    files = {split: str(data / f"{split}.jsonl") for split in ("train", "test")}
    settings = {
        "include": str(original), "task": f"local_{task}", "dataset_path": "json", "dataset_name": None,
        "dataset_kwargs": {"data_files": files},
    }  # fmt: skip
    (folder / f"{task}.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML


def _write_requests(out: Path, tasks: Any, names: list[str], limit: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        task = tasks.load([name])["tasks"][name]
        task.set_fewshot_seed(1234)
        task.build_all_requests(limit=limit)
        rows = [{"doc_id": found.doc_id, "prompt": found.args[0]} for found in task.instances]
        (out / f"requests_{name}.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def compare(options: argparse.Namespace) -> None:
    """Line by line: how many samples are equal in each field, and the responses that differ."""
    ours = {(sample["doc_id"], sample["filter"]): sample for sample in _samples(Path(options.ours))}
    same: Counter[str] = Counter()
    for sample in _samples(Path(options.theirs)):
        found = ours[sample["doc_id"], sample["filter"]]
        same["samples"] += 1
        same.update(name for name in _HELD if sample[name] == found[name])
        same["verdict"] += all(sample[metric] == found[metric] for metric in sample["metrics"])
        if sample["resps"] != found["resps"]:
            print(f"document {sample['doc_id']}: {_difference(sample['resps'][0][0], found['resps'][0][0])}")
    print(json.dumps(same))


def _samples(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Of the newest file."""
    newest = max(folder.glob("samples_*.jsonl"), key=lambda path: path.name.rpartition("_")[2])
    with newest.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _difference(theirs: str, ours: str) -> str:
    pairs = enumerate(zip(theirs, ours, strict=False))
    place = next((place for place, (a, b) in pairs if a != b), min(len(theirs), len(ours)))
    return f"from character {place} on, {theirs[place : place + 60]!r} and {ours[place : place + 60]!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("theirs")
    run.add_argument("out")
    run.add_argument("--data", required=True)
    run.add_argument("--tasks", nargs="+", choices=_FILES, required=True)
    run.add_argument("--model")
    run.add_argument("--limit", type=int, default=200)
    run.add_argument("--chat", action="store_true")
    run.add_argument("--batch_size", type=int, default=1, help="prompts a call; padding changes logits by rounding")
    run.set_defaults(work=theirs)
    held = commands.add_parser("compare")
    held.add_argument("theirs")
    held.add_argument("ours")
    held.set_defaults(work=compare)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
