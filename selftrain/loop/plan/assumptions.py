"""The assumptions behind the size of a run: every figure is a setting, with its source."""

from __future__ import annotations

from selftrain.config import config_dataclass, setting
from selftrain.models.placement import ModelSize

_DATA_SHEET = "NVIDIA's data sheet of the H100 SXM, dense"
_MEASURED = "measured: docs/results/samples.md"


@config_dataclass(gt=0)
class Assumptions:
    """Shares of a GPU's peak are assumed, not measured."""

    question_tokens: int = setting(150, "tokens of a prompt; about those of a MATH problem")
    completion_tokens: int = setting(
        400, "mean tokens of a response, capped at max_completion_length; measure it in a small run"
    )
    length_spread: float = setting(0.6, "standard deviation of the logarithm of response lengths")
    share_right: float = setting(
        0.4, "share of right responses; it varies between problems, distributed as Beta(s, 1 - s)", lt=1
    )
    forward_flops: float = setting(
        2.0,
        "floating-point operations per weight and token of a forward pass, without attention",
        source="Kaplan et al., arXiv 2001.08361, section 2.1",
    )
    backward_flops: float = setting(
        4.0, "the same of a backward pass; gradient_checkpointing adds a forward pass", source="Kaplan et al."
    )
    peak_tflops: float = setting(989.0, "peak of a GPU in bfloat16, TFLOP/s", source=_DATA_SHEET)
    peak_tflops_float32: float = setting(
        67.0, "peak of a GPU in float32, TFLOP/s: for scoring, and for runs without bf16", source=_DATA_SHEET
    )
    memory_gb: float = setting(80.0, "memory of a GPU, 10^9 bytes", source=_DATA_SHEET)
    machine_gb: float = setting(
        2000.0, "memory of a machine beside its GPUs, 10^9 bytes: for --fsdp_cpu_offload", source="DGX H100"
    )
    vocabulary: int = setting(
        150_000, "tokens of the vocabulary: embeddings and head, which each process of a sharded training has whole"
    )
    bandwidth_gb: float = setting(3350.0, "memory bandwidth of a GPU, 10^9 bytes per second", source=_DATA_SHEET)
    training_share: float = setting(0.35, "share of the peak that training reaches, padding excluded")
    scoring_share: float = setting(0.3, "share of the peak that forward passes over full texts reach")
    bandwidth_share: float = setting(0.5, "share of the memory bandwidth that sampling reaches")
    step_seconds: float = setting(
        0.02, "minimum seconds of one decoding step of a batch: Python and some hundred kernel launches"
    )
    read_bytes: float = setting(
        4.0, "bytes read per weight and decoding step", source="our loop: the live weights are float32"
    )
    read_bytes_bf16: float = setting(
        8.0,
        "the same with bf16",
        source="our loop: autocast reads float32, writes bfloat16 and reads that, every step",
    )
    adapter_share: float = setting(
        0.005, "weights of an adapter, as a share of its model's; lora_r 16 on two matrices a layer has fewer", le=1
    )
    weights_bytes: float = setting(4.0, "bytes per weight of a saved model", source="our trainer: float32")
    state_bytes: float = setting(
        8.0, "bytes per weight of a saved optimizer", source="our trainer: two moments, float32"
    )
    refresh_bytes: float = setting(2.0, "bytes per weight sent to a sampler after each training: bfloat16")
    network_gb: float = setting(
        50.0, "network bandwidth into one machine, 10^9 bytes per second", source="400 Gb/s InfiniBand"
    )
    gpus_a_machine: int = setting(8, "GPUs of a machine; new weights are sent to each machine once", source="DGX H100")
    row_bytes: float = setting(40.0, "bytes of one response in a Parquet file, at any length", source=_MEASURED)
    row_bytes_a_token: float = setting(
        3.1, "further bytes for each of its tokens: text and id, compressed", source=_MEASURED
    )
    question_bytes_a_token: float = setting(
        3.2, "further bytes, once a round, for each token of a prompt: it is stored twice", source=_MEASURED
    )
    log_bytes: float = setting(220.0, "bytes of one response and its verdict in the journal", source=_MEASURED)
    log_bytes_a_token: float = setting(
        7.6, "further bytes for each of its tokens: text and id, as JSON", source=_MEASURED
    )
    own_seconds: float = setting(
        4e-4,
        "seconds on one CPU core to grade, record and weigh one sample; not spread over machines",
        source=_MEASURED,
    )

    def model_size(self, params: float) -> ModelSize:
        """The hidden size is right within a quarter from SmolLM2-135M to Llama-3.3-70B."""
        hidden = 70 * (params / 1e6) ** 0.43
        return ModelSize(weights=params, outside=min(params / 2, 2 * self.vocabulary * hidden), layer=16 * hidden**2)
