"""A small real server of OpenAI's completions API over the models that ship with the package: a program to be run.

    python tests/engines/openai_server.py --model FOLDER --port 8000

It draws with the package's own engine and honours seeds. POST /control sets what is to go wrong, GET /control tells
what was asked. Nothing here is for use outside tests.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import socket
import struct
import threading
import time
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selftrain.engines.base import Engine
from selftrain.engines.packed import quickest_engine
from selftrain.engines.transformers import TransformersEngine
from selftrain.loading import load_model
from selftrain.prompts import Prompting
from selftrain.rendering import Renderer, Row
from selftrain.scoring import token_logprobs
from selftrain.types import Prompt, Response, Sampling

EXTRAS = ("top_k", "min_p", "repetition_penalty", "return_token_ids")


class Model:
    """Answers in batches, in one thread."""

    def __init__(self, folder: str) -> None:
        self.loaded = load_model(folder, device="cpu")
        self._engines: dict[tuple[str, ...], Engine] = {}
        self._asked: queue.Queue[tuple[dict[str, Any], Future[Response]]] = queue.Queue()
        threading.Thread(target=self._answer_all, daemon=True).start()

    def engine(self, stop: tuple[str, ...]) -> Engine:
        if stop not in self._engines:
            self._engines[stop] = quickest_engine(TransformersEngine(self.loaded.model, self._reading(stop), "served"))
        return self._engines[stop]

    def _reading(self, stop: tuple[str, ...] = ()) -> Renderer:
        """The prompt comes as it is."""
        prompting = Prompting(prompt_format="plain", prompt_template="{question}", stop_strings=stop)
        return Renderer(self.loaded.tokenizer, prompting, self.loaded.stop_ids)

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
                sampling = Sampling(
                    body["temperature"], max(body.get("top_k", 0), 0), body["top_p"], body["max_tokens"]
                )
                kinds.setdefault((sampling, tuple(body.get("stop", ()))), []).append(one)
            for (sampling, stop), asked in kinds.items():
                # The seed is the whole identity of an answer, so it does not matter what it is answered beside.
                prompts = [Prompt(str(body["seed"]), body["prompt"]) for body, _ in asked]
                for (_, future), response in zip(
                    asked, self.engine(stop).generate(prompts, 1, sampling, "served", 0), strict=True
                ):
                    future.set_result(response)

    def logprobs(self, response: Response, temperature: float) -> list[float]:
        prompt_ids = self.prompt_ids(response.prompt)
        row = Row((*prompt_ids, *response.token_ids), len(prompt_ids))
        values, mask = token_logprobs(self.loaded.model, [row], 0, temperature)
        return [float(one) for one in values[mask].tolist()]


class State:
    """What goes wrong, and what was asked."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.lock = options, threading.Lock()
        self.faults: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.busy = self.most_busy = 0
        self.delay = 0.0

    def note(self, body: dict[str, Any], key: str | None) -> str:
        """The fault that this request meets."""
        with self.lock:
            fault = self.faults.pop(0) if self.faults else ""
            if self.faults == [] and fault.endswith("..."):
                self.faults.append(fault)  # from now on
            fault = fault.removesuffix("...")
            told = {"prompt": body["prompt"], "seed": body["seed"], "key": key, "fault": fault, "body": body}
            self.asked.append(told)
            if self.options.journal:
                with Path(self.options.journal).open("a") as journal:
                    journal.write(json.dumps({"pid": os.getpid(), "model": self.options.model, **told}) + "\n")
            return fault

    def told(self) -> dict[str, Any]:
        with self.lock:
            return {"asked": self.asked, "most_busy": self.most_busy}


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
            if self.path == "/control":
                self.say(200, state.told())
            elif self.path == "/v1/models" and self.is_known():
                self.say(200, {"data": [{"id": name} for name in options.names]})
            elif self.path != "/v1/models":
                self.say(404, {"error": {"message": "nothing here"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/control":
                with state.lock:
                    state.faults, state.asked, state.most_busy = body.get("faults", []), [], 0
                    state.delay = body.get("delay", 0.0)
                self.say(200, {})
            elif self.path == "/v1/completions" and self.is_known():
                with state.lock:
                    state.busy += 1
                    state.most_busy = max(state.most_busy, state.busy)
                try:
                    self.complete(body)
                finally:
                    with state.lock:
                        state.busy -= 1

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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default=os.environ.get("SERVED_KEY"))
    parser.add_argument("--names", nargs="+", default=["served"])
    parser.add_argument("--journal", help="a file to which every request is appended")
    parser.add_argument("--logprobs", choices=["own", "scaled", "none"], default="own")
    parser.add_argument("--strict", action="store_true", help="knows nothing that OpenAI does not define")
    parser.add_argument("--plain", action="store_true", help="tells neither token ids nor what ended an answer")
    parser.add_argument("--extra_token", type=int, default=0, help="puts so many start tokens in front")
    options = parser.parse_args()
    print("loading", options.model, flush=True)
    model = Model(options.model)
    model.engine(())
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler(model, State(options)))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
