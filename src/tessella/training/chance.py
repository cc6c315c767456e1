"""What is drawn in training depends on nothing but the seed and the place in the training."""

import lightning.pytorch as lightning
import torch


def micro_batch(task: lightning.LightningModule) -> int:
    """Of the training, counted from its start, also where it was resumed."""
    return task.trainer.fit_loop.epoch_loop.total_batch_idx


def seed_micro_batch(task: lightning.LightningModule, seed: int) -> None:
    """Before each micro-batch: it draws afresh from the seed, its number and the process, so that a resumed run repeats
    an uninterrupted one."""
    torch.manual_seed(((seed * 1_000_003 + micro_batch(task)) * 1_009 + task.global_rank) % 2**63)
