"""The SynFeat defence with a generator that was trained here."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tessella.membership_inference.black_box import BlackBox
from tessella.membership_inference.defences import SynFeat, noise_of
from tessella.networks.normalized import to_float
from tessella.runs.feature_gan import load_generator
from tessella.runs.model import at_size


def synthetic_features(
    source: str, network: nn.Module, secret: bytes, *strength: float, trusted: Sequence[str] = ("tessella",)
) -> BlackBox:
    """``network`` behind SynFeat, at the size that it was trained at.

    source: run or checkpoint of a generator for this very network. secret: of the codes that features are made from:
    the same layout always has the same one. trusted: see ``load_generator``.

    Raises InputError where the generator was trained for another network.
    """
    trained = load_generator(source, trusted)
    trained.require_for(network, f"--generator {source}")
    halves = trained.halves_of(network)

    def generate(posteriors: Tensor) -> Tensor:
        labels = posteriors.argmax(1)
        codes = [trained.draw(each[None], noise_of(secret, each)) for each in labels]
        return trained.make(labels, torch.cat(codes))

    protected = SynFeat(
        halves.encode,
        lambda features, size: halves.decode(features, size).float().softmax(1),
        generate,
        *strength,
    )
    return lambda images: at_size(protected, to_float(images), trained.of_network.resize)
