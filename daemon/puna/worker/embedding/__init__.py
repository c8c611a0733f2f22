"""The worker of an embedding model or a reranker: inputs of several requests together in one decode."""
