"""`puna search`: models on the Hub."""

from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table, show_count, show_size
from puna.cli.outcome import say
from puna.domain.hub_offers import Fit, RepoOffer, VariantOffer
from puna.model_client import connect_models
from puna.paths import Paths
from puna.terminal.redrawing import waiting

_HELP = """

Shows repositories with GGUF models, the most downloaded first, and the quantisation that `puna pull` takes on this
machine. `puna show NAME` shows the others.

\b
Examples:
  puna search llama 3.2 1b
  puna search qwen coder --limit 20
"""
_MARKS = {Fit.FITS: "yes", Fit.TIGHT: "when memory is free", Fit.TOO_LARGE: "no", None: "?"}


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("search", help=summary + _HELP)(_command)


def _command(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORDS", help="What to look for.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=30, help="How many to show.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    client = connect_models(Paths.for_user())
    with waiting("Asking the Hub ..."):
        found = client.search(" ".join(words or ()), limit)
    if json:
        typer.echo(msgspec.json.encode({"results": found}))
    elif not found:
        say("The Hub has no GGUF models of this name; try fewer words.")
    else:
        columns = ("repository", "parameters", "downloads", "licence", "takes", "size", "fits")
        print_table(columns, list(map(offer_row, found)))
        say("`puna pull REPOSITORY` downloads one, `puna show REPOSITORY` tells more.")


def offer_row(offer: RepoOffer) -> tuple[str, ...]:
    """Return the cells of a repository's row."""
    best = next(iter(offer.variants), None)
    licence = f"{offer.licence or '-'}{' (to be accepted)' if offer.is_gated else ''}"
    return (
        offer.repo,
        show_count(offer.parameter_count),
        show_count(offer.downloads),
        licence,
        best.label or "-" if best else "-",
        show_size(best.size_bytes) if best else "-",
        fit_mark(best),
    )


def fit_mark(variant: VariantOffer | None) -> str:
    """Return whether a model fits this machine, in a word or a few."""
    return _MARKS[variant.fit] if variant else "-"
