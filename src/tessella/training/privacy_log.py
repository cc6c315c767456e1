"""What a private training has spent, as a file that tells it without the checkpoint."""

from pathlib import Path

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback

from tessella.files import write_json


class PrivacyLog(Callback):
    """Writes what ``PrivateTask.spent`` says at each validation, and when the user stops the run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._write(pl_module)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._write(pl_module)

    def _write(self, task: lightning.LightningModule) -> None:
        write_json(self.path, task.spent())  # type: ignore[operator]
