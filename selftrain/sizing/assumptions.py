"""What the sizing of a run takes for granted: every figure is a setting, with its source."""

from __future__ import annotations

from dataclasses import dataclass

from selftrain.config import check_types, required, setting
from selftrain.errors import SettingsError
from selftrain.models.placement import GRADIENT, MOMENTS, USABLE, WEIGHT

_DATA_SHEET = "NVIDIA's data sheet of the H100 SXM, dense"
_MEASURED = "measured: docs/results/samples.md"


@dataclass(frozen=True, kw_only=True)
class SizeConfig:
    method: str = required("the run's method", example="rest-em", positional=True)
    recipe: str | None = setting(None, "a YAML file of the run's settings, as for --config of the run itself")
    set: tuple[str, ...] = setting((), "settings of the run, as name=value; they win over the recipe")
    params: tuple[float, ...] = setting((7e9,), "weights of the model; where several models learn, of each")
    gpus: int = setting(1, "GPUs; a run of today uses one, more is what the same work would cost spread out")
    problems: int = setting(7500, "training problems, D_val among them", source="the training problems of MATH")
    eval_problems: int = setting(500, "problems evaluated on", source="MATH-500")
    json: bool = setting(False, "print as JSON")

    def __post_init__(self) -> None:
        check_types(self)
        above_0 = {"params": min(self.params, default=0), "gpus": self.gpus, "problems": self.problems,
                   "eval_problems": self.eval_problems}  # fmt: skip
        _require_above_0(above_0)


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """No GPU was at hand where this was written: shares of peaks are assumed, not measured."""

    question_tokens: int = setting(150, "tokens of a question in its layout; a problem of MATH has about as many")
    completion_tokens: int = setting(
        400, "mean tokens of an answer, its end among them, at most max_completion_length; measure it in a small run"
    )
    length_spread: float = setting(0.6, "deviation of the logarithm of an answer's length, for the longest of a batch")
    share_right: float = setting(0.4, "share of right answers; it differs from problem to problem, as Beta(s, 1 - s)")
    forward_flops: float = setting(
        2.0, "floating-point operations a weight and token of a forward pass; attention left out",
        source="Kaplan et al., arXiv 2001.08361, section 2.1",
    )  # fmt: skip
    backward_flops: float = setting(
        4.0, "the same of a backward pass; gradient_checkpointing adds a forward pass", source="Kaplan et al."
    )
    peak_tflops: float = setting(989.0, "a GPU's peak in bfloat16, TFLOP/s", source=_DATA_SHEET)
    peak_tflops_float32: float = setting(
        67.0, "its peak in float32: scoring, and runs without bf16", source=_DATA_SHEET
    )
    memory_gb: float = setting(80.0, "a GPU's memory, 10^9 bytes", source=_DATA_SHEET)
    bandwidth_gb: float = setting(3350.0, "reads of that memory, 10^9 bytes a second", source=_DATA_SHEET)
    training_share: float = setting(0.35, "share of the peak that training reaches, padding taken off")
    scoring_share: float = setting(0.3, "share of the peak that forward passes over whole texts reach")
    bandwidth_share: float = setting(0.5, "share of the bandwidth that sampling reaches")
    step_seconds: float = setting(
        0.02, "least time of one token of a batch, however small the model: Python and some hundred kernels"
    )
    read_bytes: float = setting(
        4.0, "bytes read a weight and step of sampling", source="our loop: the live weights are float32"
    )
    read_bytes_bf16: float = setting(
        8.0, "the same with bf16", source="our loop: autocast reads float32, writes bfloat16 and reads that, every step"
    )
    trained_bytes: float = setting(
        float(WEIGHT + GRADIENT + MOMENTS),
        "bytes of GPU memory a weight in training",
        source="our trainer: float32 weight, gradient, two moments",
    )
    usable_memory: float = setting(USABLE, "share of the memory for these; the rest is for activations and caches")
    weights_bytes: float = setting(4.0, "bytes a weight in a saved model", source="our trainer: float32")
    state_bytes: float = setting(8.0, "bytes a weight in a saved optimizer", source="our trainer: two moments, float32")
    refresh_bytes: float = setting(2.0, "bytes a weight that are sent to a sampler after each training: bfloat16")
    network_gb: float = setting(50.0, "network into one machine, 10^9 bytes a second", source="400 Gb/s InfiniBand")
    gpus_a_machine: int = setting(8, "GPUs that share one network card and one copy sent", source="DGX H100")
    row_bytes: float = setting(40.0, "bytes of one answer in a Parquet file, whatever its length", source=_MEASURED)
    row_bytes_a_token: float = setting(3.1, "and for each of its tokens: text and id, compressed", source=_MEASURED)
    question_bytes_a_token: float = setting(
        3.2, "and once a round for each token of a question: it stands there twice", source=_MEASURED
    )
    log_bytes: float = setting(220.0, "bytes of one answer and its verdict in a log", source=_MEASURED)
    log_bytes_a_token: float = setting(7.6, "and for each of its tokens: text and id, as JSON", source=_MEASURED)
    own_seconds: float = setting(
        4e-4, "of one core for one sample: judged, written down, weighed, sealed; not spread out", source=_MEASURED
    )

    def __post_init__(self) -> None:
        check_types(self)
        _require_above_0({name: value for name, value in vars(self).items() if name != "share_right"})
        if not 0 < self.share_right < 1:
            raise SettingsError(f"share_right is {self.share_right}", "it is a share", "use 0.05 to 0.95")


def _require_above_0(values: dict[str, float]) -> None:
    for name, value in values.items():
        if value <= 0:
            raise SettingsError(f"{name} is {value:g}", "a run needs more than none of it", f"give --{name} above 0")
