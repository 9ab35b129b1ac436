"""Settings of vLLM's process. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.config import check_at_least_one, check_types, setting
from selftrain.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class VllmConfig:
    """They count only where `engine` is 'vllm'. Names are TRL's where it has one."""

    vllm_python: str | None = setting(
        None, "the Python that has vLLM, where that is another environment's; by default this one"
    )
    vllm_gpu_memory_utilization: float = setting(
        0.3, "share of each GPU's memory (of the machine's, on a CPU) that vLLM takes while it answers", source="TRL"
    )
    vllm_tensor_parallel_size: int = setting(1, "GPUs that share one model", source="TRL")
    vllm_max_model_length: int | None = setting(
        None, "tokens that a prompt and its answer may have together; by default as many as the model", source="TRL"
    )
    vllm_enforce_eager: bool = setting(
        False, "compile nothing and capture no CUDA graphs: starts sooner, answers more slowly", source="vLLM"
    )
    vllm_batch_invariant: bool = setting(
        False, "sets VLLM_BATCH_INVARIANT=1: an answer does not depend on what else is computed; slower, GPUs only",
        source="vLLM",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_types(self)
        check_at_least_one(self, "vllm_tensor_parallel_size")
        if self.vllm_max_model_length is not None:
            check_at_least_one(self, "vllm_max_model_length")
        if not 0 < self.vllm_gpu_memory_utilization <= 1:
            raise SettingsError(
                f"vllm_gpu_memory_utilization is {self.vllm_gpu_memory_utilization}",
                "it is a share of the memory: above 0, and at most 1",
                "set --vllm_gpu_memory_utilization",
            )
