"""Server-sent events from bytes. Pure."""


class OversizedEventError(Exception):
    """An event is larger than any that an engine has reason to send."""


class EventReader:
    """Takes bytes as they come and gives the data of each event; names, ids and comments are left out.

    A line that llama-server begins with `error:` is given as an object with that field.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: list[bytes] = []
        """Of the line that has not ended."""
        self._data: list[bytes] = []
        """Lines of the event that has not ended."""
        self._line_bytes = 0
        self._data_bytes = 0

    def push(self, data: bytes) -> list[bytes]:
        """Return the events that ended with these bytes. Raises `OversizedEventError`."""
        *lines, rest = data.split(b"\n")
        events: list[bytes] = []
        for line in lines:
            whole = b"".join((*self._pieces, line)).removesuffix(b"\r")
            self._pieces.clear()
            self._line_bytes = 0
            events.extend(self._take(whole))
        self._pieces.append(rest)
        self._line_bytes += len(rest)
        if self._line_bytes + self._data_bytes > self._limit:
            raise OversizedEventError
        return events

    def finish(self) -> list[bytes]:
        """Return the event that only lacks its empty line; a line that was cut is none."""
        return self._take(b"")

    def _take(self, line: bytes) -> list[bytes]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            self._data_bytes = 0
            return [event]
        if field == b"error":
            value = b'{"error":' + value + b"}"
        if field in (b"data", b"error"):
            self._data.append(value)
            self._data_bytes += len(value)
        return []
