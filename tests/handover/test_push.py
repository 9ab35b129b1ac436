"""Pushing to a hub on the loopback, by huggingface_hub's own client."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard, constants
from transformers import AutoModelForCausalLM

from selftrain.cli.main import run_cli
from selftrain.errors import RunError, SettingsError
from selftrain.handover.config import HubConfig
from selftrain.handover.push import PushOptions, push, push_best
from selftrain.models.loading import load_model
from selftrain.models.seeds import seed_model
from selftrain.storage import RunFolder

from .hub import Hub, serving


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def adapter_run(done: RunFolder, tmp_path: Path) -> RunFolder:
    """The finished run, had it trained an adapter of the seed model."""
    from peft import LoraConfig, get_peft_model

    shutil.copytree(done.path, tmp_path / "run", symlinks=True)
    weights = tmp_path / "run" / "weights" / "round-0002"
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(seed_model("llama")), LoraConfig(task_type="CAUSAL_LM"))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    model.save_pretrained(weights)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(seed_model("llama")) / name, weights)
    return RunFolder(tmp_path / "run")


def test_the_best_round_goes_to_a_private_repository_with_its_card(
    done: RunFolder, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["push", str(done.path), "--hub_model_id", "me/adds"]) == 0
    assert capsys.readouterr().out == f"{hub.url}/me/adds\n"
    assert hub.repos["me/adds"]["visibility"] == "private" and hub.commits == ["Round 2 of run"]
    best = done.path / "best"
    assert hub.files["me/adds"] == {file.name: file.read_bytes() for file in best.iterdir()}
    assert ModelCard(hub.files["me/adds"]["README.md"].decode()).data.model_name == "base-rest-em-round-2"
    assert hub.tokens == {"Bearer hf_of_a_test"}


def test_an_adapter_is_pushed_without_the_path_of_its_base_or_merged(
    adapter_run: RunFolder, hub: Hub, tmp_path: Path
) -> None:
    list(push(adapter_run, PushOptions(repo_id="me/adapter", private=False)))
    files = hub.files["me/adapter"]
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "llama"
    card = ModelCard(files["README.md"].decode())
    assert card.data.library_name == "peft" and "AutoPeftModelForCausalLM" in card.text
    assert hub.repos["me/adapter"].get("visibility") == "public"
    list(push(adapter_run, PushOptions(repo_id="me/merged", merged=True)))
    merged = hub.files["me/merged"]
    assert "adapter_config.json" not in merged and {"model.safetensors", "tokenizer.json"} <= merged.keys()
    assert ModelCard(merged["README.md"].decode()).data.library_name == "transformers"
    for name, data in merged.items():
        (tmp_path / name).write_bytes(data)
    pushed = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    expected = load_model(str(adapter_run.weights(2)), device="cpu").model.state_dict()
    base = load_model(seed_model("llama"), device="cpu").model.state_dict()
    assert all(torch.equal(value, pushed[name]) for name, value in expected.items())
    assert any(not torch.equal(value, pushed[name]) for name, value in base.items())


def test_a_link_among_the_weights_is_not_followed(adapter_run: RunFolder, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not to be uploaded")
    (adapter_run.weights(2) / "more.json").symlink_to(tmp_path / "secret")
    with pytest.raises(RunError, match=r"more\.json is not a regular file"):
        list(push(adapter_run, PushOptions()))
    assert not hub.files


def test_what_cannot_be_pushed_is_said_and_costs_no_run(done: RunFolder, hub: Hub) -> None:
    with pytest.raises(RunError, match="there are: round 1 of toy, round 2 of toy"):
        list(push(done, PushOptions(round=7)))
    hub.refuses = 403
    said: list[str] = []
    push_best(done, HubConfig(push_to_hub=True), said.append)
    (message,) = said
    assert "the run is finished, and was not pushed" in message and f"selftrain push {done.path}" in message
    hub.refuses = 0
    push_best(done, HubConfig(), said.append)
    assert not hub.repos and len(said) == 1


def test_a_message_says_what_to_do_about_it(
    done: RunFolder, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["push", str(done.path), "--hub_model_id", "bad name"]) == 64
    assert "hub_model_id is 'bad name'" in (told := capsys.readouterr().err) and "give owner/name" in told
    odd = tmp_path / "odd name"
    shutil.copytree(done.path, odd, symlinks=True)
    assert run_cli(["push", str(odd)]) == 74
    assert "give it another name: --hub_model_id owner/name" in capsys.readouterr().err
    hub.refuses = 401
    assert run_cli(["push", str(done.path), "--hub_model_id", "me/adds"]) == 74
    assert "hf auth login" in capsys.readouterr().err
    # Nothing listens there.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert run_cli(["push", str(done.path), "--hub_model_id", "me/adds"]) == 74
    assert "if http://127.0.0.1:9 was not reached" in (told := capsys.readouterr().err) and "token" not in told
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert run_cli(["push", str(done.path), "--hub_model_id", "me/adds"]) == 64
    assert "HF_HUB_OFFLINE" in capsys.readouterr().err


def test_without_a_token_nothing_is_begun(
    done: RunFolder, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    HubConfig().require_token()
    with pytest.raises(SettingsError, match="hf auth login"):
        HubConfig(push_to_hub=True).require_token()
    assert run_cli(["push", str(done.path)]) == 64
    assert "there is no token of the hub" in capsys.readouterr().err
