"""The page at /docs: the outline of the document as HTML that needs nothing but itself. Pure."""

import re
from collections.abc import Sequence

import puna
from puna.api.description.outline import ApiOutline

_CODE = re.compile(r"`([^`]+)`")


def render_page(apis: Sequence[ApiOutline], template: str, style: str, script: str) -> str:
    """Return the page. Style and script are its own files; everything else is escaped."""
    # Only who opens the page pays for the template engine.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = _to_html
    return environment.from_string(template).render(
        apis=apis, version=puna.__version__, style=style, script=script
    )


def _to_html(text: str) -> str:
    """Return sentences of a docstring as HTML: code stands between backticks there, paragraphs behind empty lines."""
    from markupsafe import Markup, escape

    paragraphs = [_CODE.sub(r"<code>\1</code>", str(escape(each))) for each in text.split("\n\n")]
    return Markup("<br>".join(paragraphs))  # noqa: S704 - escaped above
