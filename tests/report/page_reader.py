"""Read a page back: its text, links, values and scripts."""

import json
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.folder = path.parent
        self.html = path.read_text(encoding="utf-8")
        self.tags, self.values, self.words, self.links, self.ids = [], [], [], [], []
        self._open = []
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag in ("script", "style"):
            self._open.append(tag)
        if tag == "data":
            self.values.append(attrs["value"])
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.links += [attrs[key] for key in ("href", "src", "srcset") if key in attrs]

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._open.pop()

    def handle_data(self, data):
        if not self._open:
            self.words.append(data)

    def missing(self):
        """Links that lead nowhere: files that do not exist, places that are not on the page."""
        lost = []
        for link in self.links:
            parts = urlsplit(link)
            if link.startswith("#"):
                if link[1:] not in self.ids:
                    lost.append(link)
            elif parts.scheme not in ("", "file") or parts.netloc:
                lost.append(f"network: {link}")
            elif not (self.folder / unquote(parts.path)).exists():
                lost.append(link)
        return lost


def read_data(folder, split):
    """What data/<split>.js assigns."""
    head, _, body = (folder / "data" / f"{split}.js").read_text("ascii").partition("] = ")
    assert head == f'window.carscale ??= {{}};\nwindow.carscale["{split}"'
    return json.loads(body.removesuffix(";\n"))
