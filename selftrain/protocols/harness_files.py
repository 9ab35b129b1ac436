"""The files that lm-eval writes of an evaluation, so that tools which read those read ours."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from selftrain.protocols.base import EvalProtocol
from selftrain.protocols.verdicts import Verdict

#: lm-eval's seeds of Python, numpy, torch and few-shot sampling; the last alone matters where decoding is greedy.
_SEEDS = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One model's verdicts under one protocol.

    Evaluated(protocol=GSM8K, model="models/mine", verdicts=[...], prompts=["Question: ..."], total=1319)
    """

    protocol: EvalProtocol
    model: str
    verdicts: Sequence[Verdict]
    #: The text each was prompted with, in the order of `verdicts`.
    prompts: Sequence[str]
    #: Documents of the whole split.
    total: int
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = False
    limit: int | None = None

    def results(self, began: datetime, ended: datetime, extra: Mapping[str, Any]) -> dict[str, Any]:
        """What results_*.json holds.

        Args:
            extra: what lm-eval does not record, under the key "selftrain".
        """
        protocol, task = self.protocol, self.protocol.task
        judged = [verdict for verdict in self.verdicts if verdict.metrics]
        samples = list(self.samples())
        figures: dict[str, Any] = {"name": task, "alias": task, "sample_len": len(judged)}
        for filtered in protocol.filters:
            for metric in protocol.metric_names:
                values = [verdict.metrics[filtered][metric] for verdict in judged]
                figures[f"{metric},{filtered}"] = sum(values) / len(values) if values else "N/A"
                figures[f"{metric}_stderr,{filtered}"] = stderr(values) if len(values) > 1 else "N/A"
        return {
            "results": {task: figures},
            "group_subtasks": {},
            "configs": {task: self._config()},
            "versions": {task: protocol.version},
            "n-shot": {task: protocol.num_fewshot},
            "higher_is_better": {task: dict.fromkeys(protocol.metric_names, True)},
            "n-samples": {task: {"original": self.total, "effective": len(judged)}},
            "config": {"model": "selftrain", "model_args": {"pretrained": self.model}, "limit": self.limit, **_SEEDS},
            "date": began.timestamp(),
            "task_hashes": {task: _hash("".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples))},
            "model_source": "selftrain",
            "model_name": self.model,
            "model_name_sanitized": sanitized(self.model),
            "system_instruction": None,
            "system_instruction_sha": None,
            "fewshot_as_multiturn": self.fewshot_as_multiturn if self.apply_chat_template else None,
            "total_evaluation_time_seconds": str((ended - began).total_seconds()),
            "selftrain": {"protocol": protocol.name, "harness": protocol.harness, **extra},
        }

    def _config(self) -> dict[str, Any]:
        protocol = self.protocol
        return {
            "task": protocol.task,
            "num_fewshot": protocol.num_fewshot,
            "metric_list": [{"metric": name, "higher_is_better": True} for name in protocol.metric_names],
            "output_type": "generate_until",
            "generation_kwargs": dict(protocol.generation),
            "repeats": 1,
            "metadata": {"version": protocol.version},
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """The lines of samples_*.jsonl: every document by the first filter, then by the next."""
        for filtered in self.protocol.filters:
            for verdict, prompt in zip(self.verdicts, self.prompts, strict=True):
                request = verdict.request
                yield sample_line(
                    doc_id=request.doc_id,
                    doc=request.doc,
                    target=request.target,
                    prompt=prompt,
                    generation=self.protocol.generation,
                    responses=[verdict.response],
                    read=[verdict.read[filtered]],
                    filtered=filtered,
                    metrics=verdict.metrics.get(filtered, {}),
                )

    def write(self, folder: Path, results: Mapping[str, Any], date: datetime) -> tuple[Path, Path]:
        """Writes results_{date}.json and samples_{task}_{date}.jsonl into a folder named after the model."""
        folder, stamp = folder / sanitized(self.model), date.isoformat().replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        figures, lines = folder / f"results_{stamp}.json", folder / f"samples_{self.protocol.task}_{stamp}.jsonl"
        figures.write_text(json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        with lines.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(sample, default=str, ensure_ascii=False) + "\n" for sample in self.samples())
        return figures, lines


def sample_line(
    *,
    doc_id: int,
    doc: Mapping[str, Any],
    target: str,
    prompt: str,
    generation: Mapping[str, Any],
    responses: Sequence[str],
    read: Sequence[str | None],
    filtered: str,
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """A line of samples_*.jsonl: one document by one filter.

    Args:
        read: what the filter made of each response.
        metrics: empty where the comparison failed.
    """
    return {
        "doc_id": doc_id,
        "doc": dict(doc),
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": dict(generation)}},
        "resps": [list(responses)],
        "filtered_resps": list(read),
        "filter": filtered,
        "metrics": list(metrics),
        "doc_hash": _hash(json.dumps(dict(doc), indent=2, default=str, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        **metrics,
    }


def stderr(values: Sequence[float]) -> float:
    """The sample deviation over the root of n, as lm-eval has it; at least two values."""
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return deviation / math.sqrt(len(values))


def sanitized(model: str) -> str:
    """A model's name as that of a folder."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", model)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
