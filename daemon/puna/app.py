"""The aiohttp application: every dialect on one port, behind one stack."""

import logging

import psutil
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from puna.api.aitextgen.routes import DIALECT as AITEXTGEN
from puna.api.anthropic.routes import DIALECT as ANTHROPIC
from puna.api.background import own_background_tasks
from puna.api.body import BODIES_AT_ONCE, BODY_ROOM, BodyRoom
from puna.api.context import CONTEXT, Context
from puna.api.control.routes import CONTROL, METRICS
from puna.api.description.publication import PUBLISHER, Publisher
from puna.api.description.routes import DIALECT as DESCRIPTION
from puna.api.dialect import Dialect
from puna.api.guard import GuardPolicy, check_bind
from puna.api.lamini.polls import POLLS, Polls
from puna.api.lamini.routes import DIALECT as LAMINI
from puna.api.locallab.routes import DIALECT as LOCALLAB
from puna.api.middleware import add_headers, make_middlewares
from puna.api.modelstudio.routes import DIALECT as MODELSTUDIO
from puna.api.ollama.routes import DIALECT as OLLAMA
from puna.api.openai.routes import DIALECT as OPENAI
from puna.api.registry import REGISTRY, Registry
from puna.api.webhook_desk import WEBHOOKS

DIALECTS: tuple[Dialect, ...] = (
    LOCALLAB,
    OLLAMA,
    AITEXTGEN,
    MODELSTUDIO,
    LAMINI,
    OPENAI,
    ANTHROPIC,
    CONTROL,
    METRICS,
    DESCRIPTION,
)
"""All APIs that Puna speaks. A new one is a folder below `puna.api` and a name here."""

KEEPALIVE_S = 75.0
"""How long an idle connection stays open."""
HEADER_BYTES = 32_768
"""The longest header: browsers send the cookies of every program on localhost, whatever its port."""
LINGER_S = 2.0
"""How long the rest of a refused body is read and dropped, so that its sender gets to see the answer."""


class _ShortenMalformed(logging.Filter):
    """What is no sound HTTP gets one line in the log: it may hold the sender's secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; those of aiohttp's parser without their traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | RequestPayloadError):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = "refused what is no sound HTTP (%s)", (type(error).__name__,)
            record.exc_info = None
        return True


_http_log = logging.getLogger("puna.http")
_shorten_malformed = _ShortenMalformed()


def build_app(context: Context) -> web.Application:
    """Return the application. Raises `ConfigError` when the settings would open it to other machines."""
    settings = context.settings
    check_bind(settings.host, has_keys=bool(context.keys.keys))
    policy = GuardPolicy.of_settings(settings.allowed_hosts, settings.allowed_origins)
    registry = Registry(DIALECTS)
    app = web.Application(
        middlewares=make_middlewares(registry, policy), client_max_size=settings.body_limit_bytes
    )
    app[CONTEXT] = context
    app[REGISTRY] = registry
    app[BODY_ROOM] = BodyRoom(BODIES_AT_ONCE * settings.body_limit_bytes)
    app[POLLS] = Polls()
    app[WEBHOOKS] = context.webhooks
    app[PUBLISHER] = Publisher(DIALECTS, settings.open_dialects)
    registry.add_routes(app.router)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(own_background_tasks)
    # The first figure of psutil is always 0: it tells what was used since the call before.
    psutil.cpu_percent(interval=None)
    return app


def make_runner(app: web.Application, *, shutdown_timeout_s: float) -> web.AppRunner:
    """Return what runs the application on sockets, with the options that it relies on.

    A handler is cancelled when its client leaves: that is what frees the slot of an answer nobody waits for.
    `shutdown_timeout_s` bounds how long `cleanup` lets open requests finish.
    """
    _http_log.addFilter(_shorten_malformed)
    return web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        logger=_http_log,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        max_field_size=HEADER_BYTES,
        shutdown_timeout=shutdown_timeout_s,
    )
