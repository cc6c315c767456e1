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
        "LiRA and RMIA online",
        "they need shadow models that were trained on some of the images of the audit, and others that were not",
    ),
}
"""By an attack that is run where its kind is: what the kind is called, and what it is left out for lack of."""

BY_LABELS = "attacks by labels (loss, logit, right labels, learned on labels, LiRA, RMIA)"


def not_run(attacks: Collection[str], labelled: bool) -> dict[str, str]:
    """By kind of attack: why it is not among ``attacks``. labelled: whether any image has labels."""
    needs = {attack: need for attack, need in NEEDS.items() if labelled or attack in WITHOUT_LABELS}
    by_labels = {} if labelled else {BY_LABELS: "no image has labels"}
    return by_labels | {kind: why for attack, (kind, why) in needs.items() if attack not in attacks}
