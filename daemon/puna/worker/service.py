"""What serves a model: fed by the thread that reads the pipe, run by the main one."""

from typing import Protocol

from puna.engine.protocol import Abort, Count, Embed, Generate, Rank, Shutdown

Request = Generate | Embed | Rank | Count | Abort | Shutdown


class Service(Protocol):
    """Answers the requests for one model. Only `run` touches the llama context."""

    def accept(self, message: Request) -> None:
        """Take in a message of the daemon; returns at once. Called by the inbox thread."""
        ...

    def run(self) -> None:
        """Serve until `Shutdown`. Called by the main thread, once."""
        ...
