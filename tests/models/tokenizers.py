"""Small tokenizers of the kinds that exist, and chat templates as they are published."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

_TEXTS = [
    "Question: Tom has 3 apples and buys 4 more. How many? Answer: 3+4=7. #### 7",
    "def f(x):\n    return x\n\n    y = [ 1 , 2 ]\n\tz = 'social' ?\n",
    "user assistant system im_start im_end eos bos end of turn INST /INST <s> </s> <|im_end|> <eos> <bos>",
]
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<bos>", "<eos>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|begin_of_text|>", "<|start_header_id|>",
    "<|end_header_id|>", "[INST]", "[/INST]", "<unk>",
]  # fmt: skip
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@cache
def _backend(kind: str) -> str:
    if kind == "unigram":  # T5, XLNet; the only one here whose blanks transformers still cleans up
        made = tokenizers.Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
        made.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
        alphabet = [chr(number) for number in range(32, 127)] + ["\n", "\t"]
        made.train_from_iterator(
            _TEXTS,
            trainers.UnigramTrainer(
                vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, unk_token="<unk>",
                show_progress=False,
            ),
        )  # fmt: skip
        return made.to_str()
    if kind == "byte-level":  # GPT-2, Llama 3, Qwen, SmolLM
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        )
        made.train_from_iterator(_TEXTS, trainer)
        return made.to_str()
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[*SPECIAL, *BYTES], show_progress=False)
    if kind == "metaspace":  # Llama 2, Mistral
        made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    elif kind == "legacy metaspace":  # the same, converted by older transformers
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:  # Gemma
        made.normalizer = normalizers.Replace(" ", "▁")
    last = [decoders.Strip(" ", 1, 0)] if "metaspace" in kind else []
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *last])
    lines = [line for text in _TEXTS for line in text.replace(" ", "▁").split("\n")]
    pretokenizer, normalizer = made.pre_tokenizer, made.normalizer
    made.pre_tokenizer, made.normalizer = pre_tokenizers.Split("▁", "merged_with_next"), None
    made.train_from_iterator(lines, trainer)
    made.pre_tokenizer, made.normalizer = pretokenizer, normalizer
    plain = json.loads(made.to_str())
    # Bytes are ordinary tokens, which a trainer has no other way to add.
    plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] not in BYTES]
    return json.dumps(plain)


KINDS = ("byte-level", "metaspace", "legacy metaspace", "gemma", "unigram")


def tokenizer(
    kind: str,
    template: str | None = None,
    *,
    bos: str | None = None,
    eos: str = "</s>",
    plain: str = "",
    **options: Any,
) -> Any:
    """
    Args:
        bos: the start token, put in front of every text.
        plain: a token that is called special nowhere.
    """
    made = json.loads(_backend(kind))
    for token in made["added_tokens"]:
        token["special"] = token["content"] != plain
    backend = tokenizers.Tokenizer.from_str(json.dumps(made))
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, backend.token_to_id(bos))]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=eos, bos_token=bos, **options)
    made.chat_template = template
    return made


_ALTERNATE = """{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"""
CHATML = """{% for message in messages %}\
{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
GEMMA = (
    """{{ bos_token }}{% if messages[0]['role'] == 'system' %}\
{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"""
    + _ALTERNATE
    + """{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') \
+ '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
)
#: Name: tokenizer, its start and end token, the template, and the token that ends a turn.
PUBLISHED = {
    "chatml": ("byte-level", None, "<|endoftext|>", CHATML, "<|im_end|>"),
    "gemma": ("gemma", "<bos>", "<eos>", GEMMA, "<end_of_turn>"),
    "llama 2": (
        "metaspace", "<s>", "</s>",
        """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}\
{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}\
{% for message in rest %}"""
        + _ALTERNATE
        + """{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + \
message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}\
{% endif %}{% endfor %}""",
        "</s>",
    ),
    "llama 3": (
        "byte-level", "<|begin_of_text|>", "<|eot_id|>",
        """{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + \
'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}""",
        "<|eot_id|>",
    ),
    "mistral": (  # the system message goes with the last question
        "metaspace", "<s>", "</s>",
        """{{ bos_token }}{% set rest = messages[1:] if messages[0]['role'] == 'system' else messages %}\
{% for message in rest %}{% if message['role'] == 'user' %}{% if loop.last and messages[0]['role'] == 'system' %}\
{{ '[INST] ' + messages[0]['content'] + '\n\n' + message['content'] + '[/INST]' }}{% else %}\
{{ '[INST] ' + message['content'] + '[/INST]' }}{% endif %}{% else %}{{ ' ' + message['content'] | trim + eos_token }}\
{% endif %}{% endfor %}""",
        "</s>",
    ),
    "phi 3": (
        "legacy metaspace", "<s>", "<|endoftext|>",
        """{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}""",
        "<|end|>",
    ),
    "vicuna": (  # no special tokens around the turns
        "legacy metaspace", "<s>", "</s>",
        """{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + ' ' }}\
{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}{% else %}\
{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}\
{{ 'ASSISTANT:' }}{% endif %}""",
        "</s>",
    ),
    "qwen 3": (  # an answer begins with a thought, a prompt does not
        "byte-level", None, "<|im_end|>",
        CHATML.replace("'\n' + message['content']", "'\n' + ('<think>\n\n</think>\n\n' if loop.last and "
                       "message['role'] == 'assistant' else '') + message['content']"),
        "<|im_end|>",
    ),
    "deepseek r1": (  # thoughts of earlier turns are left out, and a prompt opens one
        "byte-level", "<|begin_of_text|>", "</s>",
        """{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}\
{% elif message['role'] == 'user' %}{{ '<|user|>' + message['content'] }}{% else %}\
{{ '<|assistant|>' + message['content'].split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}""",
        "</s>",
    ),
}  # fmt: skip


def published(name: str) -> Any:
    kind, bos, eos, template, _ = PUBLISHED[name]
    return tokenizer(kind, template, bos=bos, eos=eos)
