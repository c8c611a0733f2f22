"""`puna keys`: list, make and revoke keys, and the organisations they belong to."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from puna.cli.figures import print_table, show_time
from puna.cli.key_office import open_office
from puna.cli.outcome import say
from puna.keys.identity import Scope
from puna.keys.records import Key, KeyWish, Organisation
from puna.paths import Paths

_HELP = """

A key opens the APIs that ask for one, and every API to other machines. It is shown once, when it is made, and
stored as a hash. Its scopes say what it is good for: infer (ask models), manage (models, keys, settings),
train (adapters). Works whether Puna runs or not; what is revoked ends at once.

\b
Examples:
  puna keys create --name laptop
  puna keys create --name ops --scope infer,manage --org acme
  puna keys list
  puna keys revoke key_0123456789ab
  puna keys add-organisation acme
"""

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("create", help="Make a key and print it: the only time that it is shown.")(_create)
    group.command("list", help="Show the keys that hold.")(_list)
    group.command("revoke", help="End a key, at once.")(_revoke)
    group.command("organisations", help="Show the organisations.")(_organisations)
    group.command("add-organisation", help="Make an organisation.")(_add_organisation)
    app.add_typer(group, name="keys", help=summary + _HELP)


def _create(
    name: Annotated[str, typer.Option("--name", help="What you will know it by.")],
    org: Annotated[str | None, typer.Option("--org", help="Id or name of its organisation.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="infer, manage, train, or several with commas.")
    ] = None,
    json: _Json = False,
) -> None:
    wish = KeyWish(name=name, organisation=org, scopes=parse_scopes(scope or [Scope.INFER]))
    with open_office(Paths.for_user()) as office:
        made = office.create_key(wish)
    if json:
        typer.echo(msgspec.json.encode(made))
        return
    # The key alone on standard output, so that a script can take it: KEY=$(puna keys create ...).
    typer.echo(made.secret)
    typer.echo(
        f"This is the key {made.key.name} ({made.key.id}), for {', '.join(made.key.scopes)}. "
        "It is not shown again.",
        err=True,
    )


def parse_scopes(texts: Sequence[str]) -> tuple[Scope, ...]:
    """Return the scopes of `infer,manage` and the like. Raises `typer.BadParameter`."""
    words = [word.strip().lower() for text in texts for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in list(Scope)]
    if unknown or not words:
        message = f"It takes {', '.join(Scope)}, not {', '.join(unknown) or 'nothing'}."
        raise typer.BadParameter(message, param_hint="--scope")
    return tuple(scope for scope in Scope if scope in words)


def _list(json: _Json = False) -> None:
    with open_office(Paths.for_user()) as office:
        keys, organisations = office.keys(), office.organisations()
    if json:
        typer.echo(msgspec.json.encode({"keys": keys}))
    elif not keys:
        say("There is no key; `puna keys create --name NAME` makes one.")
    else:
        names = {one.id: one.name for one in organisations}
        columns = ("id", "name", "organisation", "scopes", "begins", "made", "last used")
        print_table(columns, [key_row(key, names.get(key.organisation_id, "-")) for key in keys])


def key_row(key: Key, organisation: str) -> tuple[str, ...]:
    """Return the cells of a key's row."""
    return (
        key.id,
        key.name,
        organisation,
        ",".join(key.scopes),
        f"{key.hint}...",
        show_time(key.created_at),
        "never" if key.last_used_at is None else show_time(key.last_used_at),
    )


def _revoke(id_: Annotated[str, typer.Argument(metavar="ID", help="As `puna keys list` shows it.")]) -> None:
    with open_office(Paths.for_user()) as office:
        key = office.revoke_key(id_)
    say(f"The key {key.name} ({key.id}) is revoked.")


def _organisations(json: _Json = False) -> None:
    with open_office(Paths.for_user()) as office:
        organisations = office.organisations()
    if json:
        typer.echo(msgspec.json.encode({"organisations": organisations}))
    else:
        print_table(("id", "name", "made"), list(map(_organisation_row, organisations)))


def _add_organisation(name: Annotated[str, typer.Argument(help="Its name.")]) -> None:
    with open_office(Paths.for_user()) as office:
        made = office.create_organisation(name)
    say(f"The organisation {made.name} is {made.id}.")


def _organisation_row(organisation: Organisation) -> tuple[str, ...]:
    name = f"{organisation.name} (the default)" if organisation.is_default else organisation.name
    return organisation.id, name, show_time(organisation.created_at)
