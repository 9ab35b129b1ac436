"""A round of ReST-EM as one would write it with transformers, math-verify and TRL."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from math_verify import parse, verify
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

#: The fastest settings of TRL found here. By itself it computes in bfloat16 and with gradient checkpointing.
FASTEST = {
    "per_device_train_batch_size": 16, "train_sampling_strategy": "group_by_length", "bf16": False,
    "gradient_checkpointing": False,
}  # fmt: skip
#: What is not said is TRL's default.
AS_IT_COMES = {"per_device_train_batch_size": 8}


@dataclass(frozen=True)
class Settings:
    samples: int
    length: int
    learning_rate: float
    epochs: int
    step: int
    seed: int
    trl: dict[str, Any]
    #: Of a chat model: its system message.
    instruction: str
    #: What the final answer follows.
    mark: str
    #: Sequences a call of `generate`.
    at_once: int


def is_right(answer: str, gold: str, mark: str) -> bool:
    final = answer.rpartition(mark)[2].strip().rstrip(".")
    return mark in answer and verify(parse(f"${gold}$"), parse(f"${final}$"))


def prompt(tokenizer: Any, question: str, of: Settings) -> str:
    if tokenizer.chat_template is None:
        return f"Question: {question}\nAnswer:"
    turns = [{"role": "system", "content": of.instruction}, {"role": "user", "content": question}]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text


@torch.inference_mode()
def ask(model: Any, tokenizer: Any, problems: list[tuple[str, str]], n: int, of: Settings, **drawn: Any) -> list[Any]:
    """(question, gold, answer, whether it is whole), `n` for each problem."""
    found = []
    problems = sorted(problems, key=lambda one: len(one[0]))
    for start in range(0, len(problems), of.at_once // n):
        some = problems[start : start + of.at_once // n]
        asked = tokenizer([prompt(tokenizer, one, of) for one, _ in some], padding=True, return_tensors="pt")
        out = model.generate(**asked, max_new_tokens=of.length, num_return_sequences=n, **drawn)
        ids = out[:, asked["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        whole = (ids == tokenizer.eos_token_id).any(-1).tolist()
        found += [(*some[at // n], texts[at], whole[at]) for at in range(len(texts))]
    return found


def greedy_accuracy(model: Any, tokenizer: Any, problems: list[tuple[str, str]], of: Settings) -> float:
    answers = ask(model.eval(), tokenizer, problems, 1, of, do_sample=False)
    return sum(is_right(answer, gold, of.mark) for _, gold, answer, _ in answers) / len(answers)


def rest_em_round(path: str, train: list[tuple[str, str]], test: list[tuple[str, str]], of: Settings) -> dict[str, Any]:
    torch.manual_seed(of.seed)
    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    marks = [time.perf_counter()]
    before = greedy_accuracy(model, tokenizer, test, of)
    marks.append(time.perf_counter())
    drawn = ask(model, tokenizer, train, of.samples, of, do_sample=True, temperature=0.7, top_k=40)
    marks.append(time.perf_counter())
    kept, of_problem = {}, Counter[str]()
    for question, gold, answer, whole in drawn:
        if whole and (question, answer) not in kept and of_problem[question] < 10 and is_right(answer, gold, of.mark):
            kept[question, answer] = {"prompt": prompt(tokenizer, question, of), "completion": answer}
            of_problem[question] += 1
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, num_train_epochs=of.epochs, learning_rate=of.learning_rate, seed=of.seed,
            lr_scheduler_type="cosine", warmup_steps=0.03, use_cpu=True, report_to=[], save_strategy="no",
            disable_tqdm=True, gradient_accumulation_steps=of.step // of.trl["per_device_train_batch_size"], **of.trl,
        )  # fmt: skip
        data = Dataset.from_list(list(kept.values()))
        SFTTrainer(model, config, train_dataset=data, processing_class=tokenizer).train()
    marks.append(time.perf_counter())
    after = greedy_accuracy(model, tokenizer, test, of)
    phases = ("evaluate before", "sample", "grade", "train")
    seconds = {name: round(end - start, 1) for name, start, end in zip(phases, marks, marks[1:], strict=False)}
    seconds["evaluate after"] = round(time.perf_counter() - marks[-1], 1)
    return {"kept": len(kept), "greedy": [before, after], "seconds": seconds}
