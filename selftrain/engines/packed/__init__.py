"""An engine with its own forward pass, for decoders of the Llama family on a CPU.

Modules, lowest first: `architecture` (what is known of a model), `linear` and `weights` (its weights, rearranged),
`kv_cache`, `slot_layout` and `attention_pass` (which row attends to what), `torch_attention` or `compiled_attention`
(computes it), `decoder` (the forward pass), `sequence_group` (completions decoded together), `decode_state` (their
tokens), `scoring` (log-probabilities of given texts), `worker_pool` (further processes), `engine`, and `select`, which
decides whether all this may stand in for the model's own code.
"""

from selftrain.engines.packed.select import fastest_engine
from selftrain.engines.packed.worker_pool import WorkerPool, spare_cores

__all__ = ["WorkerPool", "fastest_engine", "spare_cores"]
