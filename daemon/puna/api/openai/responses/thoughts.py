"""`encrypted_content`: what a model thought, as one opaque word that clients keep and bring back. Pure.

Clients that store nothing here (`store: false`) carry a conversation themselves, and some of them hand back of the
reasoning this word only. It hides nothing: the same text stands beside it in the answer.
"""

import base64
import binascii

_MARK = "puna-1."


def seal_thoughts(text: str) -> str:
    """Return the word for a text."""
    return _MARK + base64.urlsafe_b64encode(text.encode()).decode()


def open_thoughts(word: str) -> str | None:
    """Return the text; None for a word that is not from here."""
    if not word.startswith(_MARK):
        return None
    try:
        return base64.b64decode(word.removeprefix(_MARK), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
