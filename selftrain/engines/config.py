"""Settings of engines: what generates, and on which device. Imports nothing heavy."""

from __future__ import annotations

from selftrain.config import config_dataclass, setting
from selftrain.engines.registry import engine_names


@config_dataclass
class EngineConfig:
    """All defaults are ours."""

    device: str = setting("auto", "'cpu', 'cuda' or 'cuda:1'; 'auto' is the GPU where there is one", resumable=True)
    bf16: bool = setting(
        False,
        "sample and train in bfloat16; weights and log-probabilities stay float32. On a CPU, a run with a model above "
        "30 million weights measures whether the processor gains by it, and says so",
    )
    engine: str = setting(
        "auto",
        "what generates: 'auto' is the packed engine on a CPU where it supports the model and agrees with "
        "transformers, else transformers; 'transformers' always; 'vllm' is vLLM in a process of its own; 'openai' is "
        "an OpenAI-compatible server, see --base_url and --server_command; others come from installed packages",
        choices=engine_names,
        essential=True,
    )
    sampling_processes: int | None = setting(
        None,
        "processes that sample in parallel on a CPU; by default one per core, as far as they fit into memory",
        ge=1,
        resumable=True,
    )
    sampling_batch_size: int = setting(
        128, "responses generated in one batch; with --engine and --seed it determines the bytes of a run", ge=1
    )
    problems_at_once: int = setting(
        512,
        "problems of a round that are sampled, graded and saved before the next ones, in methods that collect problem "
        "by problem (rest-em); bounds the responses held in memory. Raise it to keep a large cluster busy",
        ge=1,
    )
    training_processes: int = setting(
        1,
        "processes over which a training is sharded (FSDP2), each on its own GPU where there are GPUs; weights depend "
        "on their number to rounding only",
        ge=1,
        resumable=True,
    )
    fsdp_cpu_offload: bool = setting(
        False,
        "keep weights, gradients and the optimizer of a training in CPU memory, and on a GPU only the layer that is "
        "computed, also with one process; slower",
        resumable=True,
    )
    training_folder: str | None = setting(
        None,
        "folder that all machines share, in which processes that torchrun has started wait for trainings; by default "
        "the run starts them itself, on its machine",
        resumable=True,
    )

    @property
    def shards_training(self) -> bool:
        return self.training_processes > 1 or self.fsdp_cpu_offload or self.training_folder is not None
