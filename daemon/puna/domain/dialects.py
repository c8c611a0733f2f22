"""The dialects that settings can name."""

from enum import StrEnum


class DialectName(StrEnum):
    """APIs that keys and rate limits may be set for; Puna's own are not among them."""

    LOCALLAB = "locallab"
    AITEXTGEN = "aitextgen"
    MODELSTUDIO = "modelstudio"
    LAMINI = "lamini"
    OPENAI = "openai"
    OLLAMA = "ollama"
    """Spin-Up's API too, which is Ollama's `/api/generate` behind a key."""
    ANTHROPIC = "anthropic"
