"""On which GPU each of several models runs: side by side where memory allows it, else with CPU offload in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from selftrain.errors import SettingsError

#: Share of a GPU's free memory for weights, gradients and moments; the rest is for activations and caches. Ours.
USABLE = 0.8
#: Bytes per trained weight: the weight, its gradient, AdamW's two moments; all float32.
WEIGHT, GRADIENT, MOMENTS = 4, 4, 8


@dataclass(frozen=True)
class Device:
    """Device("cuda:0", free=84_900_000_000)"""

    name: str
    #: Bytes.
    free: int

    @property
    def usable(self) -> float:
        return USABLE * self.free


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a model takes: all the time, and in addition while it trains.

    MemoryNeed(resident=29.7e9, training=9.9e9)
    """

    resident: float
    training: float

    @property
    def peak(self) -> float:
        return self.resident + self.training

    @classmethod
    def of(cls, weights: float, trained: float, *, keeps_moments: bool) -> MemoryNeed:
        """
        Args:
            weights: number of weights of the model.
            trained: how many of them are trained; 0 for an adapter, whose own weights are neglected.
            keeps_moments: whether the optimizer spans the run.
        """
        kept = trained * MOMENTS if keeps_moments else 0
        return cls(weights * WEIGHT + kept, trained * (GRADIENT + MOMENTS) - kept)


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Counts of a model's weights, and of the numbers that its layers keep of a token for the backward pass.

    ModelSize(weights=134.5e6, outside=28.3e6, layer=3.54e6, kept=305e3, checkpointed=17.3e3)
    """

    weights: float
    #: Outside its layers: embeddings and head, which every process of a sharded training has whole.
    outside: float
    #: In the largest layer.
    layer: float
    #: With all weights trained; and with gradient_checkpointing, by which only the layers' inputs are kept.
    kept: float = 0.0
    checkpointed: float = 0.0

    @property
    def kept_of_layer(self) -> float:
        return self.kept * self.layer / max(1.0, self.weights - self.outside)


class DeviceSlot:
    """A device, and with `offload` which of several models is on it; the others wait in CPU memory."""

    def __init__(self, device: str, *, offload: bool = False) -> None:
        self.device, self.offload = device, offload
        self._current: Callable[[str], None] | None = None

    def acquire(self, to: Callable[[str], None]) -> None:
        """Moves the model here, by its method `to`, after the current one has moved to the CPU."""
        if not self.offload or self._current == to:
            return
        if self._current is not None:
            self._current("cpu")
        to(self.device)
        self._current = to


@dataclass(frozen=True)
class Placement:
    """
    Placement(devices={"llama": "cuda:0", "qwen2": "cuda:1", "gemma2": "cuda:1"}, offload=frozenset({"cuda:1"}))
    """

    #: By model.
    devices: Mapping[str, str]
    #: Devices whose models are offloaded to CPU memory while another one of them works.
    offload: frozenset[str] = frozenset()
    #: False where the models are simply on the device of the settings.
    planned: bool = True

    @cached_property
    def slots(self) -> Mapping[str, DeviceSlot]:
        """By model; models on the same device share a slot."""
        by_device = {device: DeviceSlot(device, offload=device in self.offload) for device in self.devices.values()}
        return {name: by_device[device] for name, device in self.devices.items()}

    def lines(self) -> Iterator[str]:
        """For the terminal, before the run; none where nothing was planned."""
        for device in dict.fromkeys(self.devices.values()) if self.planned else ():
            models = [name for name, own in self.devices.items() if own == device]
            how = "" if len(models) == 1 else " in turns (CPU offload)" if device in self.offload else " side by side"
            yield f"{device}: {', '.join(models)}{how}"


def check_device(device: str) -> None:
    """
    Raises:
        SettingsError: there is no such device here.
    """
    if device in ("auto", "cpu"):
        return
    import torch

    kind, _, number = device.partition(":")
    count = torch.cuda.device_count()
    if kind == "cuda" and not count:
        raise SettingsError(
            f"device is {device!r}, and torch sees no GPU",
            "there is none, its driver does not work, or this torch was built for CPUs",
            "use --device cpu, or see what `nvidia-smi` and `python -c 'import torch; print(torch.version.cuda)'` say",
        )
    if kind == "cuda" and number.isdecimal() and int(number) >= count:
        raise SettingsError(
            f"device is {device!r}, and torch sees {count} GPUs", do=f"use cuda:0 to cuda:{count - 1}, or auto"
        )
    try:
        torch.empty(1, device=device)
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise SettingsError(
            f"device is {device!r}, and torch has none such here", str(error).split(". ")[0], "use cpu, cuda or cuda:1"
        ) from error


def gpus() -> list[Device]:
    import torch

    return [Device(f"cuda:{number}", torch.cuda.mem_get_info(number)[0]) for number in range(torch.cuda.device_count())]


def place(needs: Mapping[str, MemoryNeed], devices: Sequence[Device]) -> Placement:
    """The largest model first, each on the device where most memory is left.

    One model trains at a time, so a device has to hold what all of its models keep resident, and the training of one. A
    model that fits nowhere beside others takes turns with those on the largest device.

    Raises:
        SettingsError: a model does not fit on any device even alone.
    """
    placed_on: dict[str, list[MemoryNeed]] = {device.name: [] for device in devices}
    placed, offload = dict[str, str](), set[str]()

    def left(device: Device, need: MemoryNeed) -> float:
        together = [*placed_on[device.name], need]
        return device.usable - sum(n.resident for n in together) - max(n.training for n in together)

    for name, need in sorted(needs.items(), key=lambda item: -item[1].peak):
        largest = max(devices, key=lambda device: device.usable)
        if need.peak > largest.usable:
            raise SettingsError(
                f"{name} needs {need.peak / 1e9:,.1f} GB to train, {largest.name} has {largest.free / 1e9:,.1f} free",
                f"weights, gradients and moments may take {USABLE:.0%} of that",
                "use a smaller model, --use_peft, a GPU with more memory, or --device cpu",
            )
        best = max(devices, key=lambda device: left(device, need))
        if left(best, need) < 0:
            best = largest
            offload.add(best.name)
        placed_on[best.name].append(need)
        placed[name] = best.name
    return Placement({name: placed[name] for name in needs}, frozenset(offload))
