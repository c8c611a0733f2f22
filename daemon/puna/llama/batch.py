"""The input of one decode call."""

import llama_cpp


class Batch:
    """Tokens with their positions and sequences; allocated once, filled anew for each step."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.struct = llama_cpp.llama_batch_init(capacity, 0, 1)

    def __len__(self) -> int:
        return int(self.struct.n_tokens)

    def clear(self) -> None:
        """Make it empty."""
        self.struct.n_tokens = 0

    def add(self, token: int, position: int, sequence: int, *, wants_logits: bool) -> int:
        """Append one token and return its index, by which its logits are found after the decode."""
        batch = self.struct
        index: int = batch.n_tokens
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = sequence
        batch.logits[index] = wants_logits
        batch.n_tokens = index + 1
        return index

    def close(self) -> None:
        """Free the arrays. Idempotent."""
        if self.capacity:
            llama_cpp.llama_batch_free(self.struct)
            self.capacity = 0
