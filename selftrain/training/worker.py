"""The program of the processes that share trainings: one job after another, each from its folder.

All processes run the same loop on the same examples (SPMD); the first one tells the run, in `events`, what happens.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.elastic.multiprocessing.errors import record
from torch.distributed.rendezvous import rendezvous

from selftrain.errors import SelftrainError
from selftrain.models.adapter import AdapterConfig
from selftrain.models.loading import load_model
from selftrain.models.rendering import TokenizedExample
from selftrain.storage.typed_json import from_plain, to_plain
from selftrain.training import sharding, tensors
from selftrain.training.base import RoundProgress, TrainingConfig, TrainingHooks, TrainingJob, TrainingReport
from selftrain.training.dialogue import SIGN_OF_LIFE, STOP, TIMEOUT
from selftrain.training.optimizer import configure, load_optimizer, make_optimizer
from selftrain.training.training_loop import TrainingLoop
from selftrain.types import TrainingExample

#: Seconds between looks at a file that is waited for.
POLL = 0.02


class JobFolder:
    """What the processes and the run tell each other about a training. See `Checkpoints` for three of its methods."""

    def __init__(self, path: Path) -> None:
        self.path, self._asked, self._saved = path, 0, 0
        # Answers to processes that are gone are not taken for answers to those in their place.
        session = torch.tensor(int.from_bytes(os.urandom(7), "big"))
        dist.broadcast(session, 0)
        self._session = session.item()
        self.latest = None if (latest := self._ask("resume")) is None else Path(latest)

    def tell(self, kind: str, *what: Any) -> None:
        line = json.dumps([kind, *what]).encode() + b"\n"
        with (self.path / "events").open("ab", buffering=0) as file:
            file.write(line)

    def tell_first(self, kind: str, *what: Any) -> None:
        """From one process, when all have come here."""
        dist.barrier()
        if tensors.is_first_process():
            self.tell(kind, *what)

    def on_step(self, *what: Any) -> None:
        if tensors.is_first_process():
            self.tell("step", *what)

    def _ask(self, kind: str, model: Any = None) -> Any:
        self._asked += 1
        name = f"{kind}-{self._session}-{self._asked}"
        if model is not None:
            tensors.write(self.path / name / tensors.WEIGHTS, tensors.trainable(model))
        self.tell_first(kind, name)
        while not (answer := _read(self.path / f"{name}.json")):
            self._check()
            time.sleep(POLL)
        return json.loads(answer)

    def measure(self, model: Any) -> float:
        """The validation metric of the weights as they are."""
        return float(self._ask("measure", model))

    def _check(self) -> None:
        if _read(self.path.parent / "current") != self.path.name:
            raise RuntimeError("the run has ended, or gone on to another training")

    def due(self) -> bool:
        """As the first process sees it, so that all do the same."""
        found = torch.tensor(0)
        if tensors.is_first_process():
            self._check()
            found += int(_read(self.path / "save", "0").partition(" ")[0])
        dist.broadcast(found, 0)
        due, self._saved = found.item() > self._saved, max(self._saved, int(found.item()))
        return due

    def save(self, write: Callable[[Path], None]) -> None:
        write(Path((self.path / "save").read_text().partition(" ")[2]))
        self.tell_first("saved", self._saved)


def work(path: Path, mesh: DeviceMesh) -> None:
    """Trains, and leaves the weights in `result`, and where it spans the run the optimizer in `state`.

    Raises:
        SelftrainError: the training cannot succeed; the run has been told.
        LessMemoryError: it may, once all processes are started again.
    """
    folder, job = JobFolder(path), json.loads((path / "job.json").read_text())
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    try:
        report = _train(folder, job, mesh)
    except SelftrainError as error:
        folder.tell("error", type(error).__name__, error.found, error.why, error.do)
        raise
    except sharding.LessMemoryError as error:
        (path / "max_tokens").write_text(str(error.max_tokens))
        raise
    folder.tell_first("report", to_plain(report))


def _train(folder: JobFolder, job: dict[str, Any], mesh: DeviceMesh) -> TrainingReport:
    root = _model(folder.path, job, mesh)
    # As the run has measured it, or after a lack of memory fewer.
    max_tokens = int(_read(folder.path / "max_tokens", str(job["max_tokens"])))
    config, model = TrainingConfig(**{**job["config"], "max_tokens_per_batch": max_tokens}), root.model
    gradients = sharding.ShardedGradients(root, config, job["pad_id"], bf16=job["bf16"])
    optimizer = (load_optimizer(model, Path(job["state"])) if job["state"] else None) or make_optimizer(model)
    configure(optimizer, config)
    given = [from_plain(TrainingExample, row, "an example") for row in job["examples"]]
    training = TrainingJob(given, config, job["seed"], RoundProgress(**job["round_progress"]))
    examples = [TokenizedExample(tuple(ids), prompt_length, weight) for ids, prompt_length, weight in job["tokens"]]
    stepper = sharding.ShardedStepper(gradients, optimizer, examples, training)
    hooks = TrainingHooks(
        validation_metric=(lambda: folder.measure(model)) if job["validated"] else None,
        on_step=folder.on_step,
        checkpoints=folder,
    )
    report = TrainingLoop(stepper, training, hooks, job["fingerprint"]).run()
    tensors.write(folder.path / "result" / tensors.WEIGHTS, tensors.trainable(model))
    if config.optimizer_spans == "run":
        tensors.write(folder.path / "state" / tensors.OPTIMIZER, tensors.optimizer_state(model, optimizer))
    return report


def _model(path: Path, job: dict[str, Any], mesh: DeviceMesh) -> sharding.Root:
    (base, revision), adapter = job["source"], AdapterConfig(**job["adapter"])
    weights = sharding.WeightsFile(path / tensors.WEIGHTS)
    if adapter.load_in_4bit:
        # Weights of 4 bits are not sharded: each process has them all.
        device = f"cuda:{torch.cuda.current_device()}" if mesh.device_type == "cuda" else "cpu"
        model, files = load_model(base, revision=revision, device=device, load_in_4bit=True).model, [weights]
    else:
        files = [weights, sharding.WeightsFile(path.parent / job["model"] / "frozen.safetensors")]
        model = _empty_model(path.parent / job["model"], job["attention"])
    if adapter.use_peft:
        from selftrain.training.lora import LoraAdapter

        LoraAdapter(model, adapter, base, revision)
    source = {name: file for file in files for name in file.names()}
    root = sharding.Root(model)
    sharding.shard(root, source, mesh, bf16=job["bf16"], offload=job["offload"])
    return root


def _empty_model(folder: Path, attention: str) -> Any:
    """Without values, so that no process ever holds all of them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation=attention, trust_remote_code=False
        )


def _has_ended(job: Path) -> bool:
    last = (_read(job / "events").splitlines() or [""])[-1]
    return last.startswith(('["report"', '["error"'))


def _read(file: Path, default: str = "") -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return default


def _join_group(device: str, timeout: timedelta) -> None:
    store, rank, size = next(rendezvous("env://", timeout=timeout))
    store = PrefixStore(_common_name(store, rank, size), store)
    # Offloaded weights are in CPU memory, and so is what the processes agree on.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)


def _common_name(store: Store, rank: int, size: int) -> str:
    """A name that only the processes have which were started together.

    The store may still have the addresses of processes that are gone, and torchrun counts restarts on each machine for
    itself.
    """
    own = uuid.uuid4().hex
    if rank == 0:
        store.set("first", own)
        store.set(f"{own}/all", b" ".join(store.get(f"{own}/{other}") for other in range(1, size)).decode())
        return own
    while True:
        # Until the first process has come, it is one that is gone whose name is found.
        first: str = store.get("first").decode()
        store.set(f"{first}/{rank}", own)
        with suppress(dist.DistStoreError):
            store.wait([f"{first}/all"], timedelta(seconds=1))
            if own in store.get(f"{first}/all").decode().split():
                return first
        time.sleep(POLL)


def _watch(folder: Path, sign: Path, parent: int, is_temporary: bool) -> None:
    """Ends this process with the run. One that waits for another in a collective operation would not see it."""
    signed = time.monotonic()
    while os.getppid() == parent and not (folder / STOP).exists():
        if time.monotonic() - signed > SIGN_OF_LIFE:
            with suppress(OSError):
                sign.touch(exist_ok=True)
            signed = time.monotonic()
        time.sleep(0.2)
    if os.getppid() != parent and is_temporary:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


@record
def main() -> None:
    given, device, *launched = sys.argv[1:]
    # The run says who it is: it may have ended before this line.
    timeout, parent = (float(launched[0]), int(launched[1])) if launched else (TIMEOUT, os.getppid())
    folder = Path(given).resolve()
    if not launched and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        (folder / STOP).unlink(missing_ok=True)  # of an earlier run
    sign = folder / f"pid-{os.environ['RANK']}"
    sign.write_text(str(os.getpid()))
    threading.Thread(target=_watch, args=(folder, sign, parent, bool(launched)), daemon=True).start()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    _join_group(device, timedelta(seconds=timeout))
    serve(folder, device)


def serve(folder: Path, device: str) -> None:
    """Does one job after another, as a member of the process group; does not return."""
    mesh, done = init_device_mesh(device, (dist.get_world_size(),)), ""
    while True:
        current = _read(folder / "current")
        if current not in ("", done) and not _has_ended(folder / current):
            work(folder / current, mesh)
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()
        done = current
        time.sleep(POLL)


if __name__ == "__main__":
    main()
