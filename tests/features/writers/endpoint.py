"""A real OpenAI-compatible endpoint on loopback whose answers are written down beforehand."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One response: what the model says, or a body of its own; after so many seconds, in so many pieces."""

    content: str | None = None
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    pieces: int = 1
    pause: float = 0.0

    def bytes(self) -> bytes:
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.content}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        told = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        return json.dumps(told | {"id": "x", "object": "chat.completion", "model": "m"}).encode()


@dataclass
class Served:
    """Where the endpoint listens, and what it was asked, in order."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def endpoint(replies: Sequence[Reply]) -> Iterator[Served]:
    """Serves the replies one after the other, the last of them for ever."""
    served, lock = Served(""), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                reply = replies[min(len(served.asked), len(replies) - 1)]
                served.asked.append(asked | {"path": self.path})
                served.headers.append({key.lower(): value for key, value in self.headers.items()})
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            body = reply.bytes()
            self.send_response(reply.status)
            for key, value in (*reply.headers, ("Content-Length", str(len(body)))):
                self.send_header(key, value)
            self.end_headers()
            step = -(-len(body) // reply.pieces) or 1
            try:
                for start in range(0, len(body), step):
                    time.sleep(reply.pause)
                    self.wfile.write(body[start : start + step])
                    self.wfile.flush()
            except OSError:
                self.close_connection = True  # the client gave up

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
