"""vLLM on a CPU, in float32, on the core that this process is pinned to; prefixes are shared, no text is made."""

from __future__ import annotations

import os
from importlib.metadata import distributions
from typing import Any

from benchmarks.peers.serving import Work, serve


def start(asked: dict[str, Any]) -> tuple[Work, str]:
    os.environ |= {
        "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
        "VLLM_CPU_OMP_THREADS_BIND": str(max(os.sched_getaffinity(0))),
    }  # fmt: skip
    from vllm import LLM, SamplingParams, TokensPrompt

    llm = LLM(
        asked["model"], dtype="float32", max_model_len=asked["room"], max_num_seqs=asked["at_once"],
        enforce_eager=True, skip_tokenizer_init=True, seed=0,
    )  # fmt: skip
    params = SamplingParams(
        n=asked["samples"], temperature=asked["temperature"], top_k=asked["top_k"],
        max_tokens=asked["max_completion_length"], stop_token_ids=[asked["end"]], detokenize=False,
    )  # fmt: skip
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids in asked["prompt_ids"]]

    def work() -> float:
        results = llm.generate(prompts, params, use_tqdm=False)
        return sum(len(one.token_ids) for result in results for one in result.outputs)

    # The build for CPUs has a name of its own.
    name = next(one.metadata["Name"] for one in distributions() if one.metadata["Name"] in ("vllm-cpu", "vllm"))
    version = next(one.version for one in distributions() if one.metadata["Name"] == name)
    return work, f"{name} {version}"


if __name__ == "__main__":
    serve(start)
