"""Reads and checks the header of a GGUF file, in Python, before llama.cpp sees the file.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The rules are those of ggml's own reader
(`gguf.cpp`) and stricter where that one would abort or read past an array.
"""
