"""Where several models of a run compute: side by side on its GPUs where there is room, in turns where there is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from selftrain.errors import SettingsError

#: Share of a GPU's free memory for weights, gradients and moments; the rest is for activations and caches. Ours.
USABLE = 0.8
#: Bytes a trained weight: itself, its gradient, two moments; all float32.
WEIGHT, GRADIENT, MOMENTS = 4, 4, 8


@dataclass(frozen=True)
class Device:
    """Device("cuda:0", free=84_900_000_000)"""

    name: str
    #: Bytes.
    free: int

    @property
    def room(self) -> float:
        return USABLE * self.free


@dataclass(frozen=True)
class Need:
    """Bytes that a model takes: all the time, and further ones while it learns.

    Need(always=29.7e9, learning=9.9e9)
    """

    always: float
    training: float

    @property
    def alone(self) -> float:
        return self.always + self.training

    @classmethod
    def of(cls, weights: int, trained: int, *, keeps_moments: bool) -> Need:
        """
        Args:
            weights: their number.
            trained: how many of them learn, or of an adapter beside them.
            keeps_moments: whether the optimizer lives on from round to round.
        """
        kept = trained * MOMENTS if keeps_moments else 0
        return cls(weights * WEIGHT + kept, trained * (GRADIENT + MOMENTS) - kept)


class DeviceSlot:
    """A device, and who is there where several models use it in turns."""

    def __init__(self, device: str, *, in_turns: bool = False) -> None:
        self.device, self.in_turns = device, in_turns
        self._there: Callable[[str], None] | None = None

    def take(self, move: Callable[[str], None]) -> None:
        """Whoever is there leaves for the machine's memory, and the model that `move` moves comes."""
        if not self.in_turns or self._there == move:
            return
        if self._there is not None:
            self._there("cpu")
        move(self.device)
        self._there = move


@dataclass(frozen=True)
class Placement:
    """
    Placement(devices={"llama": "cuda:0", "qwen2": "cuda:1", "gemma2": "cuda:1"}, in_turns=frozenset({"cuda:1"}))
    """

    #: By model.
    devices: Mapping[str, str]
    #: Devices of which a model leaves for the machine's memory when another one of them has to work.
    in_turns: frozenset[str] = frozenset()
    #: Else they are where the settings say.
    planned: bool = True

    @cached_property
    def seats(self) -> Mapping[str, DeviceSlot]:
        """By model; models of the same device share one."""
        by_device = {device: DeviceSlot(device, in_turns=device in self.in_turns) for device in self.devices.values()}
        return {name: by_device[device] for name, device in self.devices.items()}

    def lines(self) -> Iterator[str]:
        """For the terminal, before the run; none where there was nothing to plan."""
        for device in dict.fromkeys(self.devices.values()) if self.planned else ():
            models = [name for name, its in self.devices.items() if its == device]
            how = "" if len(models) == 1 else " in turns" if device in self.in_turns else " side by side"
            yield f"{device}: {', '.join(models)}{how}"


def gpus() -> list[Device]:
    import torch

    return [Device(f"cuda:{number}", torch.cuda.mem_get_info(number)[0]) for number in range(torch.cuda.device_count())]


def place(needs: Mapping[str, Need], devices: Sequence[Device]) -> Placement:
    """The largest model first, each where most room is left beside those that are there.

    One model learns at a time, so a device holds what all of its models always take, and what one of them takes to
    learn. A model that fits beside others nowhere takes turns with those of the device with most room.

    Raises:
        SettingsError: a model does not fit on any device even alone.
    """
    held: dict[str, list[Need]] = {device.name: [] for device in devices}
    placed, in_turns = dict[str, str](), set[str]()

    def left(device: Device, need: Need) -> float:
        all_of = [*held[device.name], need]
        return device.room - sum(one.always for one in all_of) - max(one.training for one in all_of)

    for name, need in sorted(needs.items(), key=lambda one: -one[1].alone):
        largest = max(devices, key=lambda device: device.room)
        if need.alone > largest.room:
            raise SettingsError(
                f"{name} takes {need.alone / 1e9:,.1f} GB to learn, {largest.name} has {largest.free / 1e9:,.1f} free",
                f"weights, gradients and moments may take {USABLE:.0%} of that",
                "use a smaller model, --use_peft, a GPU with more memory, or --device cpu",
            )
        best = max(devices, key=lambda device: left(device, need))
        if left(best, need) < 0:
            best = largest
            in_turns.add(best.name)
        held[best.name].append(need)
        placed[name] = best.name
    return Placement({name: placed[name] for name in needs}, frozenset(in_turns))
