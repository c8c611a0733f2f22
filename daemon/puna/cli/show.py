"""`puna show`: all about one model, here or on the Hub."""

import sys
from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from puna.cli.figures import in_columns, print_table, show_count, show_size, show_time
from puna.cli.model_names import complete_model
from puna.cli.outcome import say
from puna.cli.search import fit_mark
from puna.domain.hub_offers import ModelPage
from puna.domain.model_list import ListedModel
from puna.errors import PunaError
from puna.model_client import ModelClient, connect_models
from puna.paths import Paths
from puna.terminal.redrawing import waiting

_HELP = """

Of a model on this machine, what its file says; of another one, what the Hub says, with the size of each quantisation
and whether it fits.

\b
Examples:
  puna show demo
  puna show bartowski/Llama-3.2-1B-Instruct-GGUF
  puna show llama3.2:1b --hub --card
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("show", help=summary + _HELP)(_command)


def _command(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_model)],
    hub: Annotated[bool, typer.Option("--hub", help="Ask the Hub, also where the model is here.")] = False,
    card: Annotated[bool, typer.Option("--card", help="Show the model's card from the Hub.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    client = connect_models(Paths.for_user())
    here = None if hub or card else _find_here(client, name)
    page = _ask_hub(client, name) if here is None else None
    if json:
        typer.echo(msgspec.json.encode(here or page))
    elif here is not None:
        _print_facts(model_facts(here))
    elif page is not None:
        _print_page(page, with_card=card)


def _find_here(client: ModelClient, name: str) -> ListedModel | None:
    """Return the model on this machine; None for a name of the Hub. Raises where it can be neither."""
    try:
        return client.model(name)
    except PunaError:
        if "/" not in name and ":" not in name:
            raise
        return None


def _ask_hub(client: ModelClient, name: str) -> ModelPage:
    with waiting("Asking the Hub ..."):
        return client.page(name)


def model_facts(model: ListedModel) -> list[tuple[str, str]]:
    """Return what there is to say of a model on this machine, line by line."""
    abilities = [
        word
        for word, has in (
            ("reasoning", model.can_think),
            ("tools", model.can_call_tools),
            ("images or sound", model.has_projector),
        )
        if has
    ]
    return [
        ("model", model.id),
        ("further names", ", ".join(model.nicknames)),
        ("name", model.name),
        ("kind", model.kind),
        ("architecture", model.architecture),
        ("parameters", show_count(model.parameter_count)),
        ("quantisation", model.quantisation),
        ("context", f"{model.context_length} tokens" if model.context_length else ""),
        ("can", ", ".join(abilities)),
        ("licence", model.licence),
        ("size", f"{show_size(model.size_bytes)} in {model.file_count} file{'s' * (model.file_count != 1)}"),
        ("changed", show_time(model.modified_s)),
        ("from", model.source),
        ("file", model.path or ""),
        ("state", model.state),
    ]


def page_facts(page: ModelPage) -> list[tuple[str, str]]:
    """Return what there is to say of a repository on the Hub, line by line."""
    offer = page.offer
    return [
        ("repository", offer.repo + (f", a conversion of {page.asked}" if page.asked != offer.repo else "")),
        ("page", offer.page),
        ("architecture", offer.architecture),
        ("parameters", show_count(offer.parameter_count)),
        ("context", f"{offer.context_length} tokens" if offer.context_length else ""),
        ("licence", offer.licence + (" (to be accepted on its page)" if offer.is_gated else "")),
        ("downloads", f"{show_count(offer.downloads)} in a month, {show_count(offer.likes)} likes"),
        ("changed", offer.updated),
    ]


def _print_facts(facts: Iterable[tuple[str, str]]) -> None:
    for line in in_columns(facts):
        say(line)


def _print_page(page: ModelPage, *, with_card: bool) -> None:
    _print_facts(page_facts(page))
    say("")
    rows = [
        (
            variant.name,
            show_size(variant.size_bytes),
            fit_mark(variant),
            "recommended" if variant.is_recommended else "",
        )
        for variant in page.offer.variants
    ]
    print_table(("puna pull", "size", "fits", ""), rows)
    if with_card:
        say("")
        _print_card(page.card or "The repository has no card.")


def _print_card(card: str) -> None:
    """Print a card as it is, or rendered where somebody looks at it."""
    if not sys.stdout.isatty():
        typer.echo(card)
        return
    from rich.console import Console

    from puna.terminal.markdown import ChatMarkdown
    from puna.terminal.safe_text import to_safe_text

    Console().print(ChatMarkdown(to_safe_text(_without_header(card))))


def _without_header(card: str) -> str:
    """Return a card without the YAML at its top."""
    parts = card.split("---\n", 2)
    return parts[2] if card.startswith("---\n") and len(parts) == 3 else card
