"""Pages from templates: what nodes printed is escaped, and nothing is loaded.

Tested by tests/unit/lab/report/test_page.py.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from torrentnet.runtime.text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPLATES: Final = Path(__file__).parent / "templates"


def template_environment(folder: Path = TEMPLATES) -> Environment:
    """Return the environment of a folder's templates."""
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    environment.finalize = _without_controls
    return environment


def _without_controls(value: object) -> object:
    """Escape the controls that HTML does not: a node may have printed them."""
    if type(value) is not str:
        return value
    return "\n".join(escape_controls(line) for line in value.split("\n"))


def content_policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """Return the policy by which a page runs and loads nothing but these texts."""
    parts = ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:"]
    for name, texts in (("script-src", scripts), ("style-src", styles)):
        if hashes := [f"'sha256-{_digest(text)}'" for text in texts]:
            parts.append(f"{name} {' '.join(hashes)}")
    return "; ".join(parts)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
