"""Where Puna keeps its files on this system, per user."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Paths:
    """All places on disk that Puna uses. Nothing is created here; who writes a file makes its folder."""

    config_file: Path
    """What the user wants: `puna.toml`. Written by people and by `puna config set` only."""
    state_dir: Path
    """What the program remembers; private to the user."""
    log_dir: Path
    assets_dir: Path = _ASSETS

    @property
    def run_dir(self) -> Path:
        """Lock and endpoint file; a folder with mode 0700.

        Below the state folder and not in the system's runtime folder: that one differs between a desktop
        session, ssh and cron, and falls back to a predictable name in the temporary folder.
        """
        return self.state_dir / "run"

    @property
    def endpoint_file(self) -> Path:
        """Where the running daemon answers, and its admin token."""
        return self.run_dir / "daemon.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one daemon of this user."""
        return self.run_dir / "daemon.lock"

    @property
    def state_file(self) -> Path:
        """See `puna.state`."""
        return self.state_dir / "state.json"

    @property
    def secrets_file(self) -> Path:
        """Tokens of other services, with mode 0600; see `puna.hub.token`."""
        return self.state_dir / "secrets.json"

    @property
    def database_file(self) -> Path:
        """See `puna.store`."""
        return self.state_dir / "puna.db"

    @property
    def dataset_dir(self) -> Path:
        """See `puna.finetune.datasets`."""
        return self.state_dir / "datasets"

    @property
    def adapter_dir(self) -> Path:
        """See `puna.finetune.adapters`."""
        return self.state_dir / "adapters"

    @property
    def finetune_dir(self) -> Path:
        """Checkpoints of fine-tunings."""
        return self.state_dir / "finetunes"

    @property
    def daemon_log(self) -> Path:
        """The log, rotated."""
        return self.log_dir / "daemon.log"

    @property
    def output_file(self) -> Path:
        """What a detached daemon prints: why it did not start, or a crash. Made anew by each start."""
        return self.log_dir / "daemon-output.txt"

    @property
    def worker_log_dir(self) -> Path:
        """One file for each worker."""
        return self.log_dir / "workers"

    @property
    def demo_model(self) -> Path:
        """The built-in model."""
        return self.assets_dir / "demo.gguf"

    @property
    def known_models(self) -> Path:
        """The table of models that have short names; see `puna.models.known`."""
        return self.assets_dir / "models.toml"

    @classmethod
    def under(cls, root: Path) -> "Paths":
        """Return paths that all lie in one folder."""
        return cls(config_file=root / "puna.toml", state_dir=root / "state", log_dir=root / "logs")

    @classmethod
    def for_user(cls, environ: Mapping[str, str] = os.environ) -> "Paths":
        """Return the paths of this user, or those under `$PUNA_HOME` where that is set."""
        home = environ.get("PUNA_HOME")
        if home:
            return cls.under(Path(home).expanduser().absolute())
        return cls(
            config_file=platformdirs.user_config_path("puna", appauthor=False) / "puna.toml",
            state_dir=platformdirs.user_state_path("puna", appauthor=False),
            log_dir=platformdirs.user_log_path("puna", appauthor=False),
        )
