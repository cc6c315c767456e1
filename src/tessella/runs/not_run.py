"""What an audit did not try, and for lack of what."""

from collections.abc import Collection

from tessella.membership_inference.answers import STEADINESS
from tessella.runs.unlabelled import WITHOUT_LABELS

NEEDS = {
    STEADINESS: (STEADINESS, "it was not asked for"),
    "learned, posteriors alone": (
        "learned attack",
        "it needs a shadow model, whose members are known (--shadow)",
    ),
    "RMIA, offline": ("reference models (LiRA, RMIA)", "they need two shadow models or more (--shadow)"),
    "RMIA": (
        "LiRA and RMIA online, of one signal and of several",
        "they need shadow models that were trained on some of the images of the audit, and others that were not",
    ),
}
"""By an attack that is run where its kind is: what the kind is called, and what it is left out for lack of."""

BY_LABELS = "attacks by labels (loss, logit, right labels, learned on labels, LiRA, RMIA)"


RANDOM = ("gaussian", "dropout", "synfeat")
"""Defences whose noise an attacker may average away."""


def not_run(attacks: Collection[str], labelled: bool, owned: bool, victim: str) -> dict[str, str]:
    """By kind of attack: why it is not among ``attacks``.

    labelled: whether any image has labels. owned: whether an owner asks. victim: the model "behind" its defences.
    """
    needs = {attack: need for attack, need in NEEDS.items() if labelled or attack in WITHOUT_LABELS}
    found = {} if labelled else {BY_LABELS: "no image has labels"}
    found |= {kind: why for attack, (kind, why) in needs.items() if attack not in attacks}
    if not owned:
        found["the owner's test"] = "no images of an owner were given (--owner)"
    defences = victim.partition(" behind ")[2]
    if defences and "RMIA, offline" in attacks:
        found["attackers who do not know of the defence"] = (
            "the shadows are behind it too; tessella audit game has both"
        )
    if any(name in defences for name in RANDOM) and "averaged" not in defences:
        found["the mean answer to nearly equal copies"] = (
            "it was not asked for (--defence averaged=16 after the others)"
        )
    return found
