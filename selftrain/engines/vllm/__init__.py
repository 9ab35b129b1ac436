"""vLLM as the engine, in a process of its own.

`settings` are those of the command line, `serving` is the program of the process and imports nothing of ours,
`process` starts, asks and ends it, `finding` says whether there is a vLLM to start, `engine` puts them together.
"""
