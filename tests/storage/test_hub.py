"""A hub that is out of reach is told from one that answers, at once; nobody's own choice is changed."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from selftrain.storage.hub import _Hub


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *words: object) -> None: ...


def test_without_a_network_the_cache_is_used_until_the_hub_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        server.socket.close()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        _Hub().look()
        assert constants.HF_HUB_OFFLINE  # somebody's own choice

        hub = _Hub()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        hub.look()
        assert constants.HF_HUB_OFFLINE

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        hub.look()
        assert constants.HF_HUB_OFFLINE  # it was asked just now
        monkeypatch.setattr("selftrain.storage.hub._AGAIN", 0.0)
        hub.look()
        assert not constants.HF_HUB_OFFLINE
        server.shutdown()
        thread.join()
