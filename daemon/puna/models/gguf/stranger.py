"""Says what a file looks like that is no GGUF."""

PREFIX_BYTES = 512
"""How much of a file `describe_stranger` wants to see."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; run 'git lfs pull', or download the model file itself"),
    (b"PK\x03\x04", "a ZIP archive or a PyTorch checkpoint; unpack it, or convert it to GGUF"),
    (b"\x80\x02", "a PyTorch checkpoint; convert it to GGUF"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    (b"\x89HDF", "an HDF5 file; convert it to GGUF"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"tjgg", "a GGML file from before GGUF; get the model as GGUF"),
    (b"fmgg", "a GGML file from before GGUF; get the model as GGUF"),
    (b"lmgg", "a GGML file from before GGUF; get the model as GGUF"),
    (b"algg", "a GGML adapter from before GGUF; get it as GGUF"),
)
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")


def describe_stranger(prefix: bytes) -> str:
    """Return what the file seems to be and what to do, given its first bytes: `a web page; …`."""
    for signature, description in _SIGNATURES:
        if prefix.startswith(signature):
            return description
    if prefix[8:10] == b'{"' and prefix[4:8] == bytes(4):
        return "a safetensors file; convert it to GGUF"
    text = prefix.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return "a web page; download the file itself, not the page that shows it"
    if text.startswith((b"{", b"[")):
        return "a JSON text, perhaps the error message of a server; download it again"
    if not prefix.strip(b"\0"):
        return "filled with zeros; the download did not finish, so get it again"
    return "of an unknown kind"
