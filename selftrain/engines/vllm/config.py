"""Settings of vLLM. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from selftrain.config import config_dataclass, setting


@config_dataclass
class VllmConfig:
    """Read where `engine` is 'vllm'. Names are TRL's where it has one."""

    vllm_python: str | None = setting(
        None, "Python interpreter of the environment that has vLLM; this one by default", resumable=True
    )
    vllm_gpu_memory_utilization: float = setting(
        0.3,
        "share of each GPU's memory (on a CPU: of the machine's) that vLLM may take while it generates",
        source="TRL",
        gt=0,
        le=1,
        resumable=True,
    )
    vllm_weight_sync: Literal["in_place", "restart"] = setting(
        "in_place",
        "in_place: vLLM keeps running and is given new weights, and is started again only where its log-probabilities "
        "or tensors then differ from the trainer's; restart: it ends before every training",
        resumable=True,
    )
    vllm_logprob_tolerance: float | None = setting(
        None,
        "nats a token by which vLLM's log-probabilities of a small probe may differ from the trainer's, on average, "
        "after every change of weights; by default 0.0001 in float32 and 0.3 in bfloat16",
        gt=0,
        resumable=True,
    )
    vllm_enable_sleep_mode: bool = setting(
        True, "a vLLM that keeps running frees its GPU memory while the model is trained; GPUs only", resumable=True
    )
    vllm_tensor_parallel_size: int = setting(1, "GPUs that share one model", source="TRL", ge=1)
    vllm_max_model_length: int | None = setting(
        None,
        "maximum tokens of a prompt and its response together; the model's own limit by default",
        source="TRL",
        ge=1,
    )
    vllm_enforce_eager: bool = setting(
        False, "no compilation and no CUDA graphs: starts sooner, generates more slowly", source="vLLM"
    )
    vllm_batch_invariant: bool = setting(
        False,
        "set VLLM_BATCH_INVARIANT=1: a response does not depend on what else is in the batch; slower, GPUs only",
        source="vLLM",
    )
