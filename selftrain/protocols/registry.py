"""The protocols that `--protocol` can name, and the settings that belong to them."""

from __future__ import annotations

from collections.abc import Mapping

from selftrain.config import config_dataclass, setting
from selftrain.errors import SettingsError
from selftrain.protocols.base import EvalProtocol
from selftrain.protocols.gsm8k import GSM8K, GSM8K_COT, GSM8K_COT_ZEROSHOT
from selftrain.protocols.lighteval import LIGHTEVAL_GSM8K
from selftrain.protocols.minerva import MINERVA_MATH500

PROTOCOLS: Mapping[str, EvalProtocol] = {
    protocol.name: protocol for protocol in (GSM8K, GSM8K_COT, GSM8K_COT_ZEROSHOT, MINERVA_MATH500, LIGHTEVAL_GSM8K)
}


@config_dataclass
class ProtocolConfig:
    """An evaluation as another harness does it. Names and defaults are lm-eval's."""

    protocol: str | None = setting(
        None,
        "evaluate exactly as another harness does: its prompt, worked examples, stop strings, length, penalties and "
        "filters; see docs/protocols.md. Settings of ours that it fixes are refused beside it",
        choices=tuple(PROTOCOLS),
        essential=True,
    )
    apply_chat_template: bool = setting(
        False, "with protocol: put the prompt into the model's chat template", source="lm-eval"
    )
    fewshot_as_multiturn: bool = setting(
        True,
        "with apply_chat_template: each worked example is a turn of the user and one of the assistant; false puts all "
        "of them into one turn of the user",
        source="lm-eval 0.4.13",
    )

    def check(self) -> None:
        if self.apply_chat_template and self.protocol is None:
            raise SettingsError(
                "apply_chat_template is true, and protocol is not given",
                "it is a setting of protocols",
                "add --protocol, or use --prompt_format chat",
            )
        if not self.fewshot_as_multiturn and not self.apply_chat_template:
            raise SettingsError(
                "fewshot_as_multiturn is false, and apply_chat_template is not true",
                "without a chat template there are no turns",
                "add --apply_chat_template true, or leave it out",
            )
