"""The live page's HTML: the viewer without data, and what fetches these.

The page may run the two scripts in it and nothing else, may load nothing, and may ask its own server alone.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES: Final = Path(__file__).parent / "templates"
ASSETS: Final = Path(__file__).parents[1] / "report" / "assets"


@dataclass(frozen=True, slots=True)
class LivePage:
    """The page, and the policy that goes with it."""

    html: str
    policy: str


def make_page(title: str, assets: Path = ASSETS) -> LivePage:
    """Return the page of a lab."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    viewer, style = _asset(assets / "viewer.js"), _asset(assets / "viewer.css")
    start = (TEMPLATES / "start.js").read_text("utf-8")
    html = environment.get_template("live.html").render(
        title=title, viewer=Markup(viewer), style=Markup(style), start=Markup(start)
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_source(viewer)} {_source(start)}",
            f"style-src {_source(style)}",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return LivePage(html, policy)


def _asset(path: Path) -> str:
    try:
        # What would end the element inside the script is never part of a bundle; a built file is checked nevertheless.
        return path.read_text("utf-8").replace("</script", "<\\/script").replace("</style", "<\\/style")
    except FileNotFoundError:
        return ""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
