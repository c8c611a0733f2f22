"""What a name means among what was found, and what to say where it means nothing. Pure."""

from collections.abc import Sequence

from puna.domain.models import ModelEntry, ModelSource
from puna.errors import ModelLoadError, ModelNotFoundError
from puna.models.known import Wanted
from puna.models.listing import DEMO_ID, Listed, Listing, UnusableFile
from puna.models.names import describe_absent, describe_unknown


def look_up(listing: Listing, name: str, wanted: Wanted | None) -> Listed | UnusableFile | None:
    """Return the model, or the file that is none, that a name means; `wanted` is its meaning on the Hub."""
    model_id = listing.find_id(name)
    if model_id is not None:
        return listing.models.get(model_id) or listing.refused[model_id]
    return listing.find_wanted(wanted) if wanted else None


def expect(
    listing: Listing, name: str, wanted: Wanted | None, *, others: Sequence[str], known: Sequence[str]
) -> ModelEntry:
    """Return the model that a name means.

    Raises `ModelLoadError` for a file that cannot run, and `ModelNotFoundError`, which says how to get the model,
    or names what is nearest among the ids, `others` that are not in the listing, and the `known` short names.
    """
    listed = look_up(listing, name, wanted)
    if isinstance(listed, Listed):
        return listed.entry
    if isinstance(listed, UnusableFile):
        raise ModelLoadError(listed.reason)
    if wanted is not None:
        have = listing.of_repo(wanted.reference.repo)
        raise ModelNotFoundError(describe_absent(name, wanted, have, [*others, *listing.ids]))
    raise ModelNotFoundError(describe_unknown(name, [DEMO_ID, *others, *listing.ids], known))


def describe_kept(entry: ModelEntry) -> str:
    """Return why a model cannot be forgotten, and what to do instead."""
    match entry.source:
        case ModelSource.DEMO:
            return "The demo model is a part of Puna and stays."
        case ModelSource.HUB:
            return f"{entry.id} is in the Hub's cache; `puna rm {entry.id}` deletes its files."
        case ModelSource.ADAPTER:
            return f"{entry.id} was trained here; `puna adapters rm {entry.id}` deletes it."
        case ModelSource.REMOTE:
            return f"{entry.id} runs elsewhere; take it out of the setting remote_models."
        case _:
            return (
                f"{entry.id} is a file in a folder that Puna only reads, so Puna does not delete it; delete the "
                "file yourself."
            )
