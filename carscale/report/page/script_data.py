"""Data as a script: a page opened from disk may load scripts but not fetch files."""

from __future__ import annotations

import json


def as_script(name: str, content: object) -> str:
    r"""Return a script that keeps a value under ``window.carscale[name]``; plain ASCII.

    Example:
        >>> print(as_script("val", {"a": "</script>\u2028"}), end="")
        window.carscale ??= {};
        window.carscale["val"] = {"a":"\u003c/script>\u2028"};
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c")
    return f"window.carscale ??= {{}};\nwindow.carscale[{json.dumps(name)}] = {safe};\n"
