"""What an audit, or a game, says in one or two sentences."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tessella.membership_inference.blind import is_given_away
from tessella.membership_inference.statistics import Estimate


class Wording(NamedTuple):
    """models: what was attacked. gives: that they give members away. mend: what to do about sides that differ."""

    models: str
    gives: str
    mend: str


OF_AN_AUDIT = Wording(
    "the model",
    "The model gives away which images it was trained on: by its",
    "Draw them by chance from the same videos, days or places.",
)
OF_A_GAME = Wording(
    "the models",
    "These models give away which images they were trained on: by",
    "Chance dealt them unevenly: play with shorter blocks, more images, or another seed.",
)


def verdict(blind: Sequence[Estimate], attacks: Mapping[str, Estimate], words: Wording) -> str:
    """blind: AUC without the models, however blocks are put into folds. attacks: AUC by name, with intervals that hold
    for all of them together.
    """
    apart = max(blind, key=lambda draw: draw.low)
    if is_given_away(apart):
        return (
            f"No verdict: members and non-members can be told apart by what they show, without {words.models} (AUC "
            f"{apart.value:.2f}). {words.mend}"
        )
    if not attacks:
        return "No verdict: no image could be attacked."
    name = max(attacks, key=lambda attack: attacks[attack].low)
    best = attacks[name]
    said = f"AUC {best.value:.2f}, {best.low:.2f} to {best.high:.2f} among {len(attacks)} attacks"
    if best.low > 0.5:
        return f"{words.gives} {name} ({said})."
    return (
        f"No attack that was tried tells members from non-members; the best was {name} ({said}). Attacks that were not "
        "tried may."
    )
