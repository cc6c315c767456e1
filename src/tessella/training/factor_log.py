"""What became of learned dilation factors in the course of a training."""

import json
import re
from pathlib import Path

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from tessella.dilation import LearnableDilatedConv2d
from tessella.files import write_text


class FactorLog(Callback):
    """Writes ``dilation.json`` at the start and at each validation: every learnable layer's factors, rounded to 1e-4.

    TensorBoard gets them as histograms. A run that is taken up again drops what lies beyond its step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._steps: list[int] = []
        self._factors: dict[str, list[list[float]]] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_step == 0:
            self._record(trainer, pl_module)
        elif self.path.exists():
            stored = json.loads(self.path.read_text())
            kept = sum(step <= trainer.global_step for step in stored["steps"])
            self._steps = stored["steps"][:kept]
            self._factors = {layer["name"]: layer["factors"][:kept] for layer in stored["layers"]}

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._record(trainer, pl_module)

    def _record(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        step = trainer.global_step
        if step in self._steps or not trainer.is_global_zero:
            return
        self._steps.append(step)
        layers = []
        for name, layer in pl_module.named_modules():
            if isinstance(layer, LearnableDilatedConv2d):
                name = re.sub(r"^(network\.)+", "", name)  # what wraps the network says nothing
                factors = layer.factors().cpu()
                history = self._factors.setdefault(name, [])
                history.append([round(factor, 4) for factor in factors.tolist()])
                layers.append({"name": name, "range": layer.dilation_range, "factors": history})
                for logger in trainer.loggers:
                    if isinstance(logger, TensorBoardLogger):
                        logger.experiment.add_histogram(f"dilation/{name}", factors, step)
        write_text(self.path, json.dumps({"steps": self._steps, "layers": layers}))
