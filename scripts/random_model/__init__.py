"""A model of any size with random weights: real work for llama.cpp, and nothing to say."""
