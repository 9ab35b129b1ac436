"""Units of work that this process and others take from one queue, and that come back in order, each once."""

from selftrain.engines.workers.queue import DEATHS, Crew, Worker, WorkerLostError, answer_all

__all__ = ["DEATHS", "Crew", "Worker", "WorkerLostError", "answer_all"]
