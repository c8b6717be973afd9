"""Sending a folder to the hub: against a server that stands in for it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from carscale import export
from carscale.errors import ConfigError, ModelError


class Hub(BaseHTTPRequestHandler):
    """Answers what ``upload_folder`` and ``validate`` ask."""

    asked: ClassVar[list] = []
    refuses = False

    def do_POST(self):
        """Take anything down, and say yes."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.path, body))
        if self.refuses:
            return self.answer({"error": "no token"}, 401)
        if self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            return self.answer(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in files
                    ]
                }
            )
        if self.path.endswith("/commit/main"):
            return self.answer(
                {"commitUrl": f"http://{self.headers['Host']}/me/cars/commit/1", "commitOid": "1"}
            )
        here = f"http://{self.headers['Host']}/me/cars"
        return self.answer({"url": here, "id": "me/cars", "name": "me/cars"})

    def do_GET(self):
        """Tell of a repository."""
        self.answer({"id": "me/cars", "sha": "0", "siblings": [], "private": True, "tags": []})

    def answer(self, tree, code=200):
        """Send JSON."""
        content = json.dumps(tree).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", "hf_stub")
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setattr(Hub, "refuses", False)
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "README.md").write_text("---\nlibrary_name: timm\n---\n# Cars\n")
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_every_file_is_sent_to_a_private_repository(hub, folder):
    assert export.push(folder, "me/cars").endswith("/me/cars/commit/1")
    made = next(json.loads(body) for path, body in hub.asked if path == "/api/repos/create")
    assert made["name"] == "cars"
    assert made["organization"] == "me"
    assert made.get("private") is True or made.get("visibility") == "private"
    sent = next(body for path, body in hub.asked if path.endswith("/commit/main"))
    names = {
        row["value"]["path"] for row in map(json.loads, sent.splitlines()) if row["key"] == "file"
    }
    assert names == {"README.md", "config.json"}


def test_a_hub_that_refuses_is_said_with_what_to_type(hub, folder):
    hub.refuses = True
    with pytest.raises(ModelError, match=r"the hub took nothing: .*\n.*hf auth login\n.*hf upload"):
        export.push(folder, "me/cars")
    assert (folder / "config.json").exists()


@pytest.mark.parametrize("name", ["cars", "a/b/c", "me/../cars", "me/ca rs", "-x/y"])
def test_a_word_that_is_no_repository_is_refused(name):
    with pytest.raises(ConfigError, match="--push"):
        export.check_repo(name)


def test_a_hub_that_is_not_there_is_said(monkeypatch, folder):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_stub")
    with pytest.raises(ModelError, match="the hub took nothing"):
        export.push(folder, "me/cars")


def test_the_hubs_own_check_of_a_card_gets_the_card(hub, folder):
    from huggingface_hub import ModelCard

    ModelCard.load(folder / "README.md").validate()
    (path, body), *_ = hub.asked
    assert path == "/api/validate-yaml"
    assert json.loads(body)["content"].startswith("---\nlibrary_name: timm")
