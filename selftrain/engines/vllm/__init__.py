"""vLLM as the engine, in a process of its own.

`config` has the settings, `find_vllm` says whether there is a vLLM to start, `program` is what the process runs and
`in_worker` what its workers run (neither imports anything of this package), `process` starts and ends it, `live_model`
gives it new weights, `probe` and `held` find out whether they have arrived, and `engine` puts them together.
"""
