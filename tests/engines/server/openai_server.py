"""A small real server of OpenAI's completions API over the models that ship with the package: a program to be run.

    python tests/engines/server/openai_server.py --model FOLDER --port 8000

It samples with the package's own engine and honours seeds. A test can also run it in a thread, to set faults and to see
the requests.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selftrain.engines.base import Engine
from selftrain.engines.packed import fastest_engine
from selftrain.engines.request import GenerateRequest
from selftrain.engines.transformers import TransformersEngine
from selftrain.models.loading import load_model
from selftrain.models.logprobs import token_logprobs
from selftrain.models.prompts import PromptConfig
from selftrain.models.rendering import Renderer, TokenizedExample
from selftrain.types import Prompt, Response, SamplingParams
from tests.engines.server.hostile import COSTS_A_RETRY, ENDS_THE_RUN, Answer

EXTRAS = ("top_k", "min_p", "repetition_penalty", "repeat_penalty", "repeat_last_n", "return_token_ids")


class Model:
    """Generates in batches, in one thread."""

    def __init__(self, folder: str) -> None:
        self.loaded = load_model(folder, device="cpu")
        self._engines: dict[tuple[str, ...], Engine] = {}
        self._asked: queue.Queue[tuple[dict[str, Any], Future[Response]]] = queue.Queue()
        threading.Thread(target=self._answer_all, daemon=True).start()

    def engine(self, stop: tuple[str, ...]) -> Engine:
        if stop not in self._engines:
            self._engines[stop] = fastest_engine(TransformersEngine(self.loaded.model, self._reading(stop), "served"))
        return self._engines[stop]

    def _reading(self, stop: tuple[str, ...] = ()) -> Renderer:
        """The prompt comes as it is."""
        prompt_config = PromptConfig(prompt_format="plain", prompt_template="{question}", stop_strings=stop)
        return Renderer(self.loaded.tokenizer, prompt_config, self.loaded.stop_ids)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        return self._reading().prompt_ids(prompt)

    def answer(self, body: dict[str, Any]) -> Response:
        future: Future[Response] = Future()
        self._asked.put((body, future))
        return future.result()

    def _answer_all(self) -> None:
        while True:
            batch = [self._asked.get()]
            time.sleep(0.005)
            while not self._asked.empty():
                batch.append(self._asked.get())
            kinds: dict[Any, list[tuple[dict[str, Any], Future[Response]]]] = {}
            for one in batch:
                body = one[0]
                params = SamplingParams(
                    body["temperature"], max(body.get("top_k", 0), 0), body["top_p"], body["max_tokens"]
                )
                kinds.setdefault((params, tuple(body.get("stop", ()))), []).append(one)
            for (params, stop), asked in kinds.items():
                # The seed is the whole identity of a response, so what else is in the batch does not matter.
                prompts = [Prompt(str(body["seed"]), body["prompt"]) for body, _ in asked]
                request = GenerateRequest(prompts, 1, params, "served")
                for (_, future), response in zip(asked, self.engine(stop).generate(request), strict=True):
                    future.set_result(response)

    def logprobs(self, response: Response, temperature: float) -> list[float]:
        prompt_ids = self.prompt_ids(response.prompt)
        row = TokenizedExample((*prompt_ids, *response.token_ids), len(prompt_ids))
        values, mask = token_logprobs(self.loaded.model, [row], 0, temperature)
        return [float(one) for one in values[mask].tolist()]


class State:
    """Faults to come, and requests that came."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.lock = options, threading.Lock()
        #: Of the next requests, one each: see `complete`. The last one stays if it ends with "...".
        self.faults: list[str] = Path(options.faults).read_text().split() if options.faults else []
        self.asked: list[dict[str, Any]] = []
        self.busy = self.most_busy = 0
        self.url = ""
        #: Further faults, by name.
        self.answers: dict[str, Answer] = {}
        #: Seconds that an answer takes longer.
        self.delay = 0.0

    def begin(self, faults: Sequence[str] = (), delay: float = 0.0) -> None:
        """Forgets what was, for the next test."""
        with self.lock:
            self.faults, self.asked, self.most_busy, self.delay = list(faults), [], 0, delay

    def note(self, body: dict[str, Any], key: str | None) -> str:
        """Records a request; returns its fault."""
        with self.lock:
            fault = self.faults[0] if self.faults else ""
            if not fault.endswith("..."):
                self.faults = self.faults[1:]
            fault = "" if fault == "-" else fault.removesuffix("...")
            told = {"body": body, "key": key, "fault": fault, "time": time.monotonic()}
            self.asked.append(told)
            if self.options.journal:
                with Path(self.options.journal).open("a") as journal:
                    journal.write(json.dumps({"pid": os.getpid(), "model": self.options.model, **told}) + "\n")
            return fault

    @contextmanager
    def busy_with(self) -> Iterator[None]:
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            yield
        finally:
            with self.lock:
                self.busy -= 1


def handler(model: Model, state: State) -> type[BaseHTTPRequestHandler]:
    options = state.options

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None: ...

        def say(self, status: int, words: Any, headers: dict[str, str] | None = None) -> None:
            content = words if isinstance(words, bytes) else json.dumps(words).encode()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def is_known(self) -> bool:
            expected = options.key and f"Bearer {options.key}"
            if expected and self.headers.get("Authorization") != expected:
                self.say(401, {"error": {"message": f"no such key: {self.headers.get('Authorization')}"}})
                return False
            return True

        def do_GET(self) -> None:
            if self.path != "/v1/models":
                self.say(404, {"error": {"message": "nothing here"}})
            elif self.is_known():
                self.say(200, {"data": [{"id": name} for name in options.names]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/completions" and self.is_known():
                with state.busy_with():
                    self.complete(body)

        def complete(self, body: dict[str, Any]) -> None:
            fault = state.note(body, self.headers.get("Authorization"))
            if refused := [name for name in EXTRAS if name in body and options.strict]:
                self.say(400, {"error": {"message": f"Unrecognized request argument supplied: {refused[0]}"}})
            elif body["model"] not in options.names:
                self.say(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
            elif fault == "reset":
                # RST instead of an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            elif fault == "429":
                self.say(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
            elif fault == "500":
                self.say(500, b"<html>out of luck</html>")
            elif fault == "400":
                self.say(400, {"error": {"message": f"no, {self.headers.get('Authorization')}"}})
            elif fault == "garbage":
                self.say(200, b'{"choices": [}')
            elif fault == "other":
                self.say(200, {"answer": 42})
            elif answer := state.answers.get(fault) or COSTS_A_RETRY.get(fault) or ENDS_THE_RUN.get(fault):
                with suppress(OSError):
                    answer(self, completion(model, options, body))
            elif fault == "die":
                os._exit(3)
            else:
                time.sleep(state.delay)
                self.answer(body, fault)

        def answer(self, body: dict[str, Any], fault: str) -> None:
            content = json.dumps(completion(model, options, body)).encode()
            if fault == "truncate":
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif fault == "slow":
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for byte in content:  # a byte now and then, so that no read of its own takes long
                    try:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    except OSError:
                        return
                    time.sleep(0.1)
            else:
                self.say(200, content)

    return Handler


def completion(model: Model, options: argparse.Namespace, body: dict[str, Any]) -> dict[str, Any]:
    response = model.answer(body)
    choice: dict[str, Any] = {"text": response.text, "index": 0, "finish_reason": response.finish_reason}
    if not options.plain:
        ended_by_token = bool(response.token_ids) and response.token_ids[-1] in model.loaded.stop_ids
        by_text = response.finish_reason == "stop" and not ended_by_token
        choice["stop_reason"] = body["stop"][0] if by_text else None
    if body.get("return_token_ids") and not options.plain:
        choice["token_ids"] = list(response.token_ids)
    if body.get("logprobs") and options.logprobs != "none":
        temperature = body["temperature"] if options.logprobs == "scaled" else 1.0
        choice["logprobs"] = {"token_logprobs": model.logprobs(response, temperature)}
    tokens = len(model.prompt_ids(response.prompt)) + options.extra_token
    return {"choices": [choice], "usage": {"prompt_tokens": tokens, "completion_tokens": len(response.token_ids)}}


def options_of(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=os.environ.get("SERVED_KEY"))
    parser.add_argument("--names", nargs="+", default=["served"])
    parser.add_argument("--journal", help="a file to which every request is appended")
    parser.add_argument("--faults", help="a file of what goes wrong")
    parser.add_argument("--logprobs", choices=["own", "scaled", "none"], default="own")
    parser.add_argument("--strict", action="store_true", help="knows nothing that OpenAI does not define")
    parser.add_argument("--plain", action="store_true", help="tells neither token ids nor what ended an answer")
    parser.add_argument("--extra_token", type=int, default=0, help="puts so many start tokens in front")
    return parser.parse_args(words)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *arguments: Any) -> None:
        """A client may go when it likes."""


def server_of(model: Model, state: State) -> Server:
    return Server(("127.0.0.1", state.options.port), handler(model, state))


def main() -> None:
    options = options_of(sys.argv[1:])
    print("loading", options.model, flush=True)
    server_of(Model(options.model), State(options)).serve_forever()


if __name__ == "__main__":
    main()
