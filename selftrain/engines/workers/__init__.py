"""Tasks that this process and workers take from one queue, and whose results come back in order, each once."""

from selftrain.engines.workers.queue import MAX_DEATHS, Worker, WorkerLostError, Workers, run_tasks

__all__ = ["MAX_DEATHS", "Worker", "WorkerLostError", "Workers", "run_tasks"]
