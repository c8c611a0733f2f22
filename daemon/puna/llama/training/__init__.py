"""Training of a LoRA adapter inside llama.cpp, on the frozen weights of a GGUF. For the trainer's process only.

llama.cpp trains what is marked as a parameter, with a label on every position of one sequence. What it lacks is
added where its graph is computed, by a callback that sees each node before (`editor`): the loss of chosen positions
alone, several samples in one row, and products that cost what they must (`copies`, `products`).
"""
