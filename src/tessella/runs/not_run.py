"""What an audit or a game did not try, and for lack of what."""

from collections.abc import Collection

from tessella.membership_inference.answers import STEADINESS
from tessella.runs.asking import Row
from tessella.runs.defended import DEFENCES, RANDOM
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

COPIES = "the mean answer to nearly equal copies"

BY_LABELS = "attacks by labels (loss, logit, right labels, learned on labels, LiRA, RMIA)"


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
        found[COPIES] = "it was not asked for (--defence averaged=16 after the others)"
    return found


def not_run_in_game(attacks: Collection[str], behind: dict[str, Row], *, private: bool) -> dict[str, str]:
    """attacks: on undefended models. behind: what was found behind each defence. private: whether models were trained
    with differential privacy.
    """
    tried = {part.replace(":", "=").partition("=")[0] for name in behind for part in name.split("+")}
    others = [name for name in DEFENCES if name not in tried]
    beyond = sorted({name for name in attacks for row in behind.values() if name not in row["attacks"]})
    found = {
        "attackers with another network or other data": "those here have models of the same recipe, trained on other "
        "draws of the same images (tessella audit run takes any, as --shadow)"
    }
    if STEADINESS not in attacks:
        found[STEADINESS] = "it was not asked for (--label-only)"
    if "learned, posteriors" not in attacks:
        found["learned attack"] = "it was left out (--attacker-steps 0)"
    if beyond:
        found["behind defences"] = "; ".join(beyond)
    if tried.intersection(RANDOM) and "averaged" not in tried:
        found[COPIES] = "it was not asked for (--defence gaussian=0.5+averaged=16)"
    if others:
        found["other defences"] = f"{', '.join(others)} (--defence)"
    if not private:
        found["training with differential privacy"] = "a game of its own (--privacy.noise)"
    return found
