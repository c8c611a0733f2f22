"""The only importer of llama_cpp: thin typed handles, each with `close()`.

Handles are not thread-safe except where a method says so. Numbers named `n_ctx`, `n_batch` and so on are
llama.cpp's own and stay inside this package and `puna.worker`.
"""
