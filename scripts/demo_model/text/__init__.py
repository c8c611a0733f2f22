"""The training text: every word of it is generated here, from templates and word lists."""
