"""Names as untrusted input, and what a report may hold of them."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "javascript:alert(1)",
    "</script><script>document.title=1</script>",
    "abc\u202egnp.exe",
    "'\"><svg onload=document.title=1>",
)


def harmless(text: str) -> None:
    """Assert that a page holds nothing that runs or is fetched, but for its own script."""
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(text)
    assert sum(tag == "script" for tag, _ in tags) == 1
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "href", "action", "data"):
            if name in attributes:
                assert attributes[name].startswith("data:image/"), attributes
        if tag in ("img", "svg"):
            assert "alt" in attributes or "aria-label" in attributes
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for kind in ("style", "script"):
        inner = re.search(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
