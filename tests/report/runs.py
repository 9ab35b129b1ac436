"""Records of small runs, as `rounds.jsonl` holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def estimate(value: float, reach: float = 0.03, count: int = 1000) -> Line:
    return {"value": value, "low": value - reach, "high": value + reach, "count": count}


def comparison(base: float, new: float, p: float, problems: int = 1000) -> Line:
    return {
        "metric": "greedy", "base": base, "new": new, "difference": new - base, "low": new - base - 0.023,
        "high": new - base + 0.023, "p_value": p, "test": "McNemar exact", "problems": problems,
    }  # fmt: skip


def line(number: int, gain: float = 0.0, p: float = 1.0, model: str = "llama", **more: Any) -> Line:
    """Round `number`, `gain` above the base's 46.1 % greedy and 41.2 % pass@1."""
    metrics = {
        "greedy": estimate(0.461 + gain), "pass@1": estimate(0.412 + gain), "pass@2": estimate(0.55),
        "pass@8": estimate(0.731), "maj@8": estimate(0.55 + gain), "parse_failure_rate": estimate(0.02, 0.01),
        "mean_length": estimate(81.24, 1.5), "unjudged": {"value": 0, "low": 0, "high": 0, "count": 9000},
    }  # fmt: skip
    made: Line = {"round": number, "model": model, "weights": f"weights/round-{number}", "metrics": metrics}
    if number:
        made["against_base"] = {
            "greedy": comparison(0.461, 0.461 + gain, p),
            "pass@8": comparison(0.731, 0.731, 0.8),
        }
        made["sampling"] = {
            "drawn": 8000, "kept": 4190,
            "drop_reason": {"wrong": 3000, "duplicate": 700, "over the cap": 110, "unjudged": 0}, "mean_reward": 0.43,
            "problems_with_one_right": 812, "problems": 1000,
        }  # fmt: skip
        made["training"] = {
            "examples": 4190, "steps": 120, "epochs": 2, "best_epoch": 1, "loss_first": 0.61, "loss_last": 0.42,
            "validation_metric": [0.5, 0.7, 0.69], "seconds": 31.2,
        }  # fmt: skip
        made["seconds"] = {"sample": 30.1, "grade": 0.5, "train": 31.2, "evaluate": 12.0}
    return made | more


GAIN = [line(0), line(1, 0.05, 0.01), line(2, 0.112, 1e-6)]
SEVERAL = [line(number, 0.05 * number, 0.004, model) for model in ("llama", "qwen") for number in range(3)]


def real(name: str) -> list[Line]:
    """Lines of a real run of the seeds: "sept" (10 rounds, evaluated every 5) or "pst" (rounds 0, 1, 3 and 5)."""
    text = Path(__file__).with_name(f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(one) for one in text.splitlines()]


def long_run(number_of_rounds: int = 400, every: int = 20) -> list[Line]:
    """As many rounds as SePT has, made of the real ones: evaluated and probed every so often."""
    first, plain, *_, full = real("sept")
    return [first] + [
        (full | {"validation": 0.7 if n == 300 else 0.65} if n % every == 0 else plain) | {"round": n}
        for n in range(1, number_of_rounds + 1)
    ]


def blind(rounds: list[Line]) -> list[Line]:
    """The same, had no evaluation problem an answer."""
    kept = ("agreement", "token_entropy", "mean_length", "parse_failure_rate")
    hidden = []
    for one in rounds:
        line = {key: value for key, value in one.items() if key not in ("against_base", "gv_gap")}
        if "metrics" in one:
            line |= {"metrics": {key: value for key, value in one["metrics"].items() if key in kept}}
            line |= {"against_base": {}} if one["round"] else {}
        hidden.append(line)
    return hidden


def swept(rounds: list[Line]) -> list[Line]:
    """The same with the base measured by temperature, best at 0.3 and 0.6, and round 10 held against that."""
    by = {"0": estimate(0.74), "0.3": estimate(0.76), "0.6": estimate(0.75), "1": estimate(0.51)}
    found = {"by_temperature": by, "chosen": [0.3, 0.6], "best_decoded": {"a": 1.0}, "estimate": estimate(0.755)}
    against = {"pass@1 against the best-decoded base": comparison(0.755, 0.543, 1e-4)}
    return [rounds[0] | {"sweep": found}, *rounds[1:-1], rounds[-1] | {"against_best_decoded": against}]
