"""Names of models for the shell's completion: from the running daemon, at once or not at all."""

_TIMEOUT_S = 0.5


def complete_model(incomplete: str) -> list[str]:
    """Return the models whose names begin so; nothing where no daemon runs or anything else is amiss."""
    try:
        from puna.instance import read_endpoint
        from puna.paths import Paths
        from puna.terminal.daemon import list_models

        endpoint = read_endpoint(Paths.for_user().endpoint_file)
        names = list_models(endpoint, _TIMEOUT_S) if endpoint is not None else ()
    except Exception:  # noqa: BLE001 - a shell that completes shows no errors
        return []
    return [name for name in names if name.startswith(incomplete)]
