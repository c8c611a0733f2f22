"""Whether Puna runs, and whether it could listen where the settings say."""

from msgspec import Struct

from puna import listening
from puna.client import DaemonStatus
from puna.doctor.finding import Finding, Section, begin_upper, ok, problem, warning
from puna.errors import DaemonError
from puna.instance import Endpoint, Presence


class DaemonState(Struct, frozen=True, kw_only=True):
    """What is known of the daemon from outside."""

    presence: Presence
    endpoint: Endpoint | None = None
    status: DaemonStatus | None = None
    port_error: str | None = None
    """Why nothing can listen at the address of the settings; None where it can, or Puna itself does."""


def find_port_error(host: str, port: int) -> str | None:
    """Listen there for an instant; return the sentence about why that fails, None where it does not."""
    try:
        sockets = listening.bind(host, port)
    except DaemonError as error:
        return error.message
    for bound in sockets:
        bound.close()
    return None


def judge_daemon(state: DaemonState, host: str, port: int, own_version: str) -> list[Finding]:
    """Return the lines about the daemon and its port. Pure."""
    match state.presence:
        case Presence.RUNNING if state.endpoint is not None:
            return _judge_running(state.endpoint, state.status, own_version)
        case Presence.STARTING:
            text = "something holds its lock and does not answer: it starts, stops or hangs"
            return [warning(Section.DAEMON, "daemon", text, "Wait a moment; if it goes on, run: puna stop")]
        case Presence.STALE:
            text = "does not run; the last one was killed"
            return [ok(Section.DAEMON, "daemon", text), _judge_port(state, host, port)]
        case _:
            return [ok(Section.DAEMON, "daemon", "does not run"), _judge_port(state, host, port)]


def _judge_running(endpoint: Endpoint, status: DaemonStatus | None, own_version: str) -> list[Finding]:
    text = f"runs at {endpoint.url} (process {endpoint.pid})"
    if endpoint.version != own_version:
        text = f"{text}, as version {endpoint.version}; the command line is {own_version}"
        return [warning(Section.DAEMON, "daemon", text, "Restart it: puna stop, then puna start")]
    return [
        ok(Section.DAEMON, "daemon", text),
        *(
            _judge_failure(model.id, model.error)
            for model in (status.models if status else ())
            if model.error
        ),
    ]


def _judge_failure(model_id: str, error: str) -> Finding:
    advice = (
        f"Load {model_id} again, or choose another model; `puna logs --worker` shows what llama.cpp said."
    )
    return warning(Section.MODELS, model_id, f"could not be loaded: {error}", advice)


def _judge_port(state: DaemonState, host: str, port: int) -> Finding:
    if state.port_error is not None:
        fact, _, advice = state.port_error.partition(": ")
        return problem(Section.DAEMON, "port", fact, begin_upper(advice or state.port_error))
    return ok(Section.DAEMON, "port", f"{port} on {host} is free" if port else f"a free one on {host}")
