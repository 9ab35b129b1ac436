"""On what the models compute, and by what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from selftrain.config import check_at_least_one, check_types, setting


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """All defaults are ours."""

    device: str = setting("auto", "'cpu', 'cuda' or 'cuda:1'; 'auto' takes a GPU where there is one")
    bf16: bool = setting(False, "answer and train in bfloat16; weights and the scores of given texts stay float32")
    engine: Literal["auto", "transformers", "vllm", "openai"] = setting(
        "auto",
        "what answers: 'auto' is our own forward pass where it knows the model and agrees with it, on a CPU, else "
        "transformers'; 'transformers' is always its own; 'vllm' is vLLM, in a process of its own; 'openai' is a "
        "server, see --base_url and --server_command",
    )
    sampling_processes: int | None = setting(
        None, "processes that answer at once on a CPU, for models of up to 30 million weights; by default one a core"
    )
    sampling_batch_size: int = setting(
        128, "answers computed at once; with --engine, --seed it fixes the bytes of a run"
    )
    problems_at_once: int = setting(
        512, "problems of a round that are sampled, judged and written down before the next ones are, in methods that "
        "look at each problem by itself (rest-em): memory holds no more answers than theirs. More keep a large cluster "
        "busier",
    )  # fmt: skip
    training_processes: int = setting(
        1, "processes that share every training step, on a GPU each where there are GPUs; with --seed it fixes the "
        "bytes of a run",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least_one(self, "sampling_batch_size", "problems_at_once", "training_processes")
        if self.sampling_processes is not None:
            check_at_least_one(self, "sampling_processes")
