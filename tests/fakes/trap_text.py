"""Text that breaks clients: pieces that look like ends, errors, lines and numbers, cut where it hurts."""

TRAP = (
    "Hello",
    " world",
    " ",
    "42",
    "\n",
    "Error:",
    " not really",
    " a\u2028b",
    " c\u0085d",
    " [DONE]",
    " end.",
    " \n",
)
TRAP_TEXT = "".join(TRAP)
