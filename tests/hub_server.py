"""A server with one model that answers as the Hugging Face hub does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME, COMMIT = "someone/a-model", "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, and what it was asked for."""

    folder: Path
    downloads: list[str] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    """status and error code with which files are refused"""

    def answer(self, url: str) -> tuple[int, dict[str, str], bytes]:
        path = unquote(urlsplit(url).path)
        if path == f"/api/models/{NAME}/revision/main":
            return 200, {}, json.dumps({"id": NAME, "sha": COMMIT}).encode()
        if path.startswith(f"/api/models/{NAME}/revision/"):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if path == f"/api/models/{NAME}/tree/{COMMIT}":
            return 200, {}, json.dumps([self.entry(path) for path in self.folder.rglob("*")]).encode()
        if not path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            return 401, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if self.refusal:
            status, code = self.refusal
            return status, {"X-Error-Code": code, "X-Error-Message": "not with this token"}, b"{}"
        name = path.split(f"{COMMIT}/")[1]
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{name}"'}, (self.folder / name).read_bytes()

    def entry(self, path: Path) -> dict[str, object]:
        kind, name = "file" if path.is_file() else "directory", str(path.relative_to(self.folder))
        return {"type": kind, "path": name, "oid": name, "size": path.stat().st_size}


@contextmanager
def serving(shown: Hub) -> Iterator[str]:
    """The address at which a hub answers while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = shown.answer(self.path)
            if self.command == "GET" and "/resolve/" in self.path:
                shown.downloads.append(self.path.split(f"{COMMIT}/")[1])
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def put_hub_at(address: str, monkeypatch) -> None:
    # Slow to import, and most tests need no hub.
    import huggingface_hub.constants

    files = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
