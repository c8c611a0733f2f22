"""Parts of ``train_demo_model.py``: generated text, tokenizer, network, training, GGUF file, model card."""
