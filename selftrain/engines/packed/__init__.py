"""An engine with a forward pass of its own, for decoders of the Llama family on a CPU.

The parts, from below: `architecture` says what is known of a model, `linear` and `weights` lay its weights out,
`decoder` is the forward pass, `memory` keeps keys and values, `slots` says who looks at what, `attention` looks, or
`compiled` where it can, `cohort` keeps answers that are written together, `state` what is written, `engine` puts them
together, `scoring` reads what others wrote, `workers` are further processes that answer, and `choosing` says whether
all this may be used.
"""

from selftrain.engines.packed.select import quickest_engine
from selftrain.engines.packed.worker_pool import WorkerPool, further_cores

__all__ = ["WorkerPool", "further_cores", "quickest_engine"]
