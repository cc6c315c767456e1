"""Defences by the names that users give."""

from collections.abc import Callable, Sequence

from torch import nn

from tessella.errors import InputError
from tessella.membership_inference.black_box import BlackBox
from tessella.membership_inference.defences import (
    Argmax,
    Dropout,
    Gaussian,
    Rounded,
    SynFeat,
    Temperature,
    TopK,
)
from tessella.membership_inference.near_copies import Averaged
from tessella.runs.synfeat import synthetic_features
from tessella.runs.user_code import load_function

DEFENCES = ("argmax", "dropout", "gaussian", "rounded", "synfeat", "temperature", "topk")
"""By the names that ``defended`` takes."""

RANDOM = ("dropout", "gaussian", "synfeat")
"""Those whose noise an attacker may average away."""


def is_code(generator: str) -> bool:
    """FILE.py:FUNCTION, or meant to be, and no run."""
    return generator.split(":")[0].endswith(".py")


def defended(
    black_box: BlackBox,
    network: nn.Module,
    defences: Sequence[str],
    generator: str = "",
    secret: bytes = b"",
    trusted: Sequence[str] = ("tessella",),
) -> BlackBox:
    """``black_box`` behind defences, each NAME or NAME=STRENGTH; the first stands nearest to the model.

    network: that answers, whose dropout is a defence. generator: for SynFeat, which asks the network itself and so must
    come first: a run of tessella train, or FILE.py:FUNCTION that makes its encode, decode and generate of the network.
    secret: that noise is drawn from; no two models should share one. trusted: packages whose classes the generator's
    run may name. Last may stand "averaged", which is no defence but what an attacker does about noise.

    Raises InputError for a name or strength that there is not, and SynFeat without a generator.
    """

    def synfeat(box: BlackBox, *strength: float) -> BlackBox:
        if not generator or box is not undefended:
            raise InputError(
                "--defence synfeat: give it first, and its generator as --generator RUN, or FILE.py:FUNCTION"
            )
        if is_code(generator):
            return SynFeat(*load_function(generator)(network), *strength)
        return synthetic_features(generator, network, secret, *strength, trusted=trusted)

    undefended = black_box
    known: dict[str, tuple[Callable[..., BlackBox], Callable[[str], float]]] = {
        "argmax": (Argmax, float),
        "averaged": (Averaged, int),
        "dropout": (lambda box, ratio=0.9: Dropout(box, network, ratio, secret), float),
        "gaussian": (lambda box, variance=0.5: Gaussian(box, variance, secret), float),
        "rounded": (Rounded, int),
        "synfeat": (synfeat, float),
        "temperature": (Temperature, float),
        "topk": (TopK, int),
    }
    for text in defences:
        name, equals, strength = text.replace(":", "=").partition("=")
        if name not in known:
            raise InputError(f"--defence {text}: choose {', '.join(known)}")
        if isinstance(black_box, Averaged):
            raise InputError(f"--defence {text}: averaged is what the attacker does; give it last")
        build, number = known[name]
        if equals and build is Argmax:
            raise InputError(f"--defence {text}: argmax has no strength")
        try:
            strengths = [number(strength)] if equals else []
        except ValueError as error:
            raise InputError(f"--defence {text}: {strength!r} is no strength of it") from error
        black_box = build(black_box, *strengths)
    return black_box
