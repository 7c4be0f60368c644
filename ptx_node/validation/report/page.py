"""The report as one HTML page: no script, nothing loaded from anywhere, a policy that forbids both."""

from __future__ import annotations

import base64
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptx_node.validation.report.blocks import Block

POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ptx_node.validation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def page(title: str, blocks: Sequence[Block]) -> bytes:
    """The page as UTF-8."""
    environment = _environment()
    style = environment.get_template("style.css.jinja").render()
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    rendered = environment.get_template("report.html.jinja").render(
        title=title,
        policy=POLICY.format(style=digest),
        style=Markup(style),  # noqa: S704 - our own file, without a value in it
        blocks=[(type(one).__name__, one) for one in blocks],
        data_of=lambda data: base64.b64encode(data).decode(),
    )
    return rendered.encode("utf-8", "replace")
