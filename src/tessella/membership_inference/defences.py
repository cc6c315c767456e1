"""What a service may do to its answers so that they tell less: each takes a black box and is one, so that they compose.

Randomness is drawn from a secret and the image: whoever asks twice gets the same answer and cannot average it away.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tessella.errors import InputError
from tessella.membership_inference.black_box import BlackBox, Images, Posteriors

FLOOR = 1e-4
"""What noisy posteriors are cut off at, before they are divided by their sum (thesis, section 7.4.2)."""


@dataclass(frozen=True)
class Argmax:
    """The predicted class alone, as posteriors of 0 and 1."""

    black_box: BlackBox

    def __call__(self, images: Images) -> Posteriors:
        posteriors = self.black_box(images)
        return F.one_hot(posteriors.argmax(1), posteriors.shape[1]).movedim(-1, 1).to(posteriors.dtype)


@dataclass(frozen=True)
class Gaussian:
    """Gaussian noise on the predicted class's posterior at every pixel, at least ``FLOOR``, divided by the sum.

    variance: of the noise; the thesis has 0.5 and 1.
    """

    black_box: BlackBox
    variance: float = 0.5
    secret: bytes = b""

    def __post_init__(self) -> None:
        _require(self.variance >= 0, f"variance: {self.variance}; give 0 or more")

    def __call__(self, images: Images) -> Posteriors:
        posteriors = self.black_box(images)
        predicted = posteriors.argmax(1, keepdim=True)
        noise = torch.stack(
            [torch.randn(predicted.shape[1:], generator=noise_of(self.secret, image)) for image in images]
        )
        noisy = posteriors.gather(1, predicted) + self.variance**0.5 * noise.to(posteriors)
        return _normalised(posteriors.scatter(1, predicted, noisy.clamp(min=FLOOR)))


@dataclass(frozen=True)
class Rounded:
    """Posteriors with so many digits behind the point, divided by their sum.

    digits: 0 to 7, as many as a float32 has. Raises InputError for any other.
    """

    black_box: BlackBox
    digits: int = 1

    def __post_init__(self) -> None:
        _require(0 <= self.digits <= 7, f"digits: {self.digits}; give 0 to 7")

    def __call__(self, images: Images) -> Posteriors:
        posteriors = self.black_box(images)
        rounded = posteriors.round(decimals=self.digits)
        # Of many classes none may reach half a step: the predicted one then has it all.
        nothing = rounded.sum(1, keepdim=True) == 0
        largest = posteriors == posteriors.amax(1, keepdim=True)
        return _normalised(rounded.where(~nothing, largest.to(rounded)))


@dataclass(frozen=True)
class TopK:
    """The ``k`` largest posteriors of a pixel, divided by their sum; the others are 0."""

    black_box: BlackBox
    k: int = 1

    def __post_init__(self) -> None:
        _require(self.k >= 1, f"k: {self.k}; give 1 or more")

    def __call__(self, images: Images) -> Posteriors:
        posteriors = self.black_box(images)
        largest = posteriors.topk(min(self.k, posteriors.shape[1]), dim=1)
        return _normalised(torch.zeros_like(posteriors).scatter(1, largest.indices, largest.values))


@dataclass(frozen=True)
class Temperature:
    """Posteriors as of logits divided by ``temperature``: above 1 they are less sure."""

    black_box: BlackBox
    temperature: float = 4.0

    def __post_init__(self) -> None:
        _require(self.temperature > 0, f"temperature: {self.temperature}; give a positive number")

    def __call__(self, images: Images) -> Posteriors:
        posteriors = self.black_box(images)
        tiny = torch.finfo(posteriors.dtype).tiny
        return (posteriors.clamp(min=tiny).log() / self.temperature).softmax(1)


@dataclass(frozen=True)
class Dropout:
    """A network whose dropout layers stay on at test, and drop ``ratio`` of their units (thesis: 0.1 and 0.9).

    predict: images to posteriors by ``network`` in evaluation mode, which is asked for one image at a time. Raises
    InputError for a network without dropout.
    """

    predict: BlackBox
    network: nn.Module
    ratio: float = 0.9
    secret: bytes = b""

    def __post_init__(self) -> None:
        _require(0 <= self.ratio < 1, f"ratio: {self.ratio}; give 0 to less than 1")
        _require(bool(self._layers()), f"dropout: {type(self.network).__name__} has no dropout layer")

    def __call__(self, images: Images) -> Posteriors:
        with self._dropping():
            return torch.cat([self._one(image[None]) for image in images])

    def _one(self, image: Images) -> Posteriors:
        # Where the network is, not the image: whatever predicts may bring it there.
        devices = {parameter.device for parameter in self.network.parameters() if parameter.is_cuda}
        with torch.random.fork_rng(devices):
            torch.manual_seed(_seed(self.secret, image[0]))
            return self.predict(image)

    def _layers(self) -> list[nn.Module]:
        kinds = (
            nn.Dropout,
            nn.Dropout1d,
            nn.Dropout2d,
            nn.Dropout3d,
            nn.AlphaDropout,
            nn.FeatureAlphaDropout,
        )
        return [module for module in self.network.modules() if isinstance(module, kinds)]

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        # By hooks, not by the layers' own flags: whatever predicts may put the network in evaluation mode.
        handles = [
            layer.register_forward_hook(partial(_drop, type(layer)(self.ratio))) for layer in self._layers()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _drop(dropout: nn.Module, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """In place of what the layer itself gives."""
    dropped: Tensor = dropout(*inputs)
    return dropped


@dataclass(frozen=True)
class SynFeat:
    """Prediction obfuscation by synthetic features (thesis, equation 7.1).

    R = decode(encode(x)) is the network's own answer and S = decode(generate(R)) that for a feature made from R. Where
    both name the same class the answer is S, elsewhere (1 - strength) R + strength S. That is what the mask of the
    equation must mean: by its text the scores of table 7.2 could not depend on the strength.

    encode: images to features. decode: features and the images' (height, width) to posteriors of that size. generate:
    posteriors to features.
    """

    encode: Callable[[Images], Tensor]
    decode: Callable[[Tensor, tuple[int, int]], Posteriors]
    generate: Callable[[Posteriors], Tensor]
    strength: float = 0.75

    def __post_init__(self) -> None:
        _require(0 <= self.strength <= 1, f"strength: {self.strength}; give 0 to 1")

    def __call__(self, images: Images) -> Posteriors:
        size = (images.shape[-2], images.shape[-1])
        real = self.decode(self.encode(images), size)
        synthetic = self.decode(self.generate(real), size)
        differ = (real.argmax(1) != synthetic.argmax(1))[:, None]
        return torch.where(differ, (1 - self.strength) * real + self.strength * synthetic, synthetic)


def _normalised(posteriors: Tensor) -> Tensor:
    return posteriors / posteriors.sum(1, keepdim=True)


def _seed(secret: bytes, image: Tensor) -> int:
    content = image.detach().cpu().contiguous().numpy().tobytes()
    if len(secret) > hashlib.blake2b.MAX_KEY_SIZE:
        secret = hashlib.blake2b(secret).digest()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=secret).digest(), "little") >> 1


def noise_of(secret: bytes, image: Tensor) -> torch.Generator:
    """Chance that is the same for the same secret and image: asking again finds out nothing."""
    return torch.Generator().manual_seed(_seed(secret, image))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise)
