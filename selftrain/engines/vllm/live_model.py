"""vLLM with the weights of the moment: it keeps running where it can, and is started again where it has to be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from selftrain.engines.base import SaveWeights
from selftrain.engines.context import EngineContext
from selftrain.engines.vllm.config import VllmConfig
from selftrain.engines.vllm.held import HeldTensors
from selftrain.engines.vllm.probe import TOLERANCES, Probe
from selftrain.engines.vllm.process import VllmProcess
from selftrain.errors import ModelError, RunError
from selftrain.models.source import find_source


class LiveModel:
    """The model of `context.spec` until the first `update_weights`.

    Args:
        context: with a `VllmConfig` as its options.
    """

    def __init__(self, context: EngineContext) -> None:
        self._config: VllmConfig = context.options
        self._device, self._name = context.config.device, context.reference.name
        self._live, self._say = context.save, context.say
        model, revision = context.spec.model, context.spec.revision
        path = Path(model)
        self._base = {"model": str(path.resolve()) if path.is_dir() else model, "revision": revision}
        self.dtype = "bfloat16" if context.reference.bf16 else "float32"
        self._probe = Probe(context.reference, self._config.vllm_max_model_length)
        self._held = HeldTensors(context.reference.model, self.dtype)
        self._tolerance = self._config.vllm_logprob_tolerance or TOLERANCES[self.dtype]
        plain = find_source(model, revision).is_plain
        #: Set where an adapter beside the base model is what vLLM is given.
        self._adapter = context.adapter if plain and self._keeps_running else None
        # vLLM could not load an adapter or a GGUF file as it is loaded here. None: the base model.
        self._save: SaveWeights | None = None if plain else context.save
        self._process: VllmProcess | None = None
        self._is_stale, self._compares_tensors = False, True
        #: So far.
        self.starts, self.updates, self._adapters = 0, 0, 0

    @property
    def _keeps_running(self) -> bool:
        return self._config.vllm_weight_sync == "in_place"

    def update_weights(self, save: SaveWeights) -> None:
        """vLLM gets them when it is next used."""
        self._save, self._is_stale = save, True
        if not self._keeps_running:
            self.end()

    def sleep(self) -> None:
        if self._process is None:
            return
        if not self._keeps_running:
            self.end()
        elif self._config.vllm_enable_sleep_mode:
            try:
                # At level 2 the weights are gone; an adapter needs its base model to come back.
                slept = self._process.call({"sleep": 1 if self._adapter else 2})["slept"]
            except ModelError as error:
                self._say(f"{self._name}: vLLM could not be put to sleep, so it ends ({error.found})")
                self.end()
                return
            self._is_stale |= slept
            self._save = self._save or (self._live if slept else None)

    def end(self) -> None:
        """Only a process that has ended has given back all its memory."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def process(self) -> VllmProcess:
        """With the current weights, and started if need be.

        Raises:
            ModelError: vLLM does not start.
            RunError: there is no room for the weights.
        """
        if self._process is not None and self._is_stale:
            self._update(self._process)
        if self._process is None:
            self._start()
        assert self._process is not None
        return self._process

    def _update(self, process: VllmProcess) -> None:
        """The process has ended afterwards where it is not the trainer's model."""
        try:
            self._give_weights(process)
            is_right, found = self._compare(process)
        except ModelError as error:
            is_right, found = False, error.found
        if is_right:
            self.updates, self._is_stale = self.updates + 1, False
            self._say(f"{self._name}: vLLM took new weights, update {self.updates}: {found}")
            return
        self._say(f"{self._name}: vLLM was given new weights while it ran and is started again: {found}")
        self._adapter = None  # whole models are what everybody loads
        self.end()

    def _give_weights(self, process: VllmProcess) -> None:
        if self._adapter is None:
            assert self._save is not None
            process.call({"weights": write_weights(self._save, process.weights)})
        else:
            self._adapters += 1
            process.call({"adapter": write_weights(self._adapter.save, process.weights), "id": self._adapters})
        shutil.rmtree(process.weights, ignore_errors=True)

    def _start(self) -> None:
        try:
            self._load()
        except ModelError as error:
            if self._adapter is None:
                raise
            self._say(f"{self._name}: vLLM does not take the adapter beside the model, it is merged: {error.found}")
            self._adapter = None
            self.end()
            self._load()
        assert self._process is not None
        try:
            is_right, found = self._compare(self._process)
        except ModelError as error:
            # Its workers may be of a kind whose tensors cannot be read: what it computes is still checked.
            self._compares_tensors = False
            is_right, found = self._compare(self._process)
            found += f", and tensors are not compared ({error.found})"
        self._say(f"{self._name}: vLLM start {self.starts}: {found}{'' if is_right else '; it is not the same model'}")

    def _load(self) -> None:
        process = self._process = VllmProcess(self._config, self._device)
        self.starts += 1
        weights = self._base
        if self._save is not None and self._adapter is None:
            # Written while the process imports vLLM, which takes its time.
            weights = {"model": write_weights(self._save, process.weights)}
        process.call({"load": {**weights, **self._arguments()}})
        shutil.rmtree(process.weights, ignore_errors=True)  # they are loaded
        if self._save is not None and self._adapter is not None:
            self._give_weights(process)
        self._is_stale = False

    def _compare(self, process: VllmProcess) -> tuple[bool, str]:
        """Whether it is the trainer's model, in words as well."""
        difference = self._probe.difference(process.call({"batches": [self._probe.batch()]})["batch"])
        is_near, words = difference <= self._tolerance, f"{difference:.2g} nats a token from the trainer's"
        words = f"its log-probabilities are {words} (vllm_logprob_tolerance {self._tolerance:g})"
        if self._adapter is not None or not self._compares_tensors:
            return is_near, words
        is_held, compared = self._held.compare(process.call({"held": self._held.shapes()})["held"])
        return is_near and is_held, f"{words}, {compared}"

    def _arguments(self) -> dict[str, Any]:
        lora: dict[str, Any] = {}
        if self._adapter is not None:
            # vLLM knows powers of two from 8 on.
            rank = max(8, 1 << (self._adapter.rank - 1).bit_length())
            lora = {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
        return {
            **lora,
            "dtype": self.dtype,
            "seed": 0,
            "enable_prefix_caching": True,
            # Sampling defaults in the model's own files are not used: each request says all.
            "generation_config": "vllm",
            "gpu_memory_utilization": self._config.vllm_gpu_memory_utilization,
            "tensor_parallel_size": self._config.vllm_tensor_parallel_size,
            "max_model_len": self._config.vllm_max_model_length,
            "enforce_eager": self._config.vllm_enforce_eager,
            "enable_sleep_mode": self._keeps_running and self._config.vllm_enable_sleep_mode,
        }


def write_weights(save: SaveWeights, folder: Path) -> str:
    """
    Raises:
        RunError: there is no room for them.
    """
    try:
        folder.mkdir()
        save(folder)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"the weights for vLLM cannot be written to {folder}: {error}",
            "vLLM loads them from there; they take 4 bytes a parameter until then",
            "free some space, or set TMPDIR to a folder with more",
        ) from error
    return str(folder)
