"""OpenAI's `/v1/responses`: answers that can be stored and gone on from."""

from puna.api.openai.responses.routes import ROUTES

__all__ = ["ROUTES"]
