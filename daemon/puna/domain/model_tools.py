"""Other programs on this machine that keep GGUF files."""

from enum import StrEnum


class ModelTool(StrEnum):
    """A program in whose folder Puna can look for models; it never writes there."""

    LM_STUDIO = "lm-studio"
    LLAMA_CPP = "llama.cpp"
