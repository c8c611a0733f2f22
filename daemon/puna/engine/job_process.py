"""A child that does one job, trainer or merger, as the daemon sees it: frames in, frames out, and its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from puna import launch
from puna.engine.process import WorkerProcess


class JobProcess(WorkerProcess):
    """Pipe, log and end are a worker's; each kind of child adds its own messages."""

    role: ClassVar[str]
    """The sub-command of `puna` that the child is."""

    @classmethod
    async def launch(
        cls,
        log_file: Path,
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start the child. Raises `OSError`."""
        process = await cls.start(
            command or launch.child_command(cls.role),
            launch.child_environment() if environment is None else environment,
            log_file,
        )
        assert isinstance(process, cls)
        return process
