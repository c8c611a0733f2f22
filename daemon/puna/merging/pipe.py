"""The merger's end of the pipe to the daemon."""

import os
import threading

from puna.domain.merging import MergeOrder
from puna.engine.child_pipe import ChildPipe
from puna.engine.merger_protocol import FromMerger, decode_order, encode_frame
from puna.engine.protocol import ProtocolError


class OrderPipe(ChildPipe):
    """One order comes in, messages go out; the end of what comes in is the daemon's word to stop."""

    def receive(self) -> MergeOrder:
        """Block for the order. Raises `ProtocolError`."""
        body = self.read_body()
        if body is None:
            raise ProtocolError("the pipe ended inside a frame")
        return decode_order(body)

    def tell(self, message: FromMerger) -> None:
        """Write one message. Raises `BrokenPipeError` when the daemon is gone."""
        self.write_frame(encode_frame(message))

    def watch(self, is_over: threading.Event, grace_s: float, exit_code: int) -> None:
        """Set the event when the daemon stops or is gone, and end the process when it has not ended in time."""
        threading.Thread(
            target=self._end_with_daemon, args=(is_over, grace_s, exit_code), name="watch", daemon=True
        ).start()

    def _end_with_daemon(self, is_over: threading.Event, grace_s: float, exit_code: int) -> None:
        self.wait_for_end()
        is_over.set()
        threading.Event().wait(grace_s)
        os._exit(exit_code)
