"""Sentences for what was found, and for what cannot be said."""

from tessella.membership_inference.statistics import Estimate
from tessella.membership_inference.verdict import OF_A_GAME, OF_AN_AUDIT, verdict


def test_verdicts():
    alike = [Estimate(0.47, 0.41, 0.52)] * 4
    attacks = {"loss": Estimate(0.8, 0.7, 0.9), "RMIA": Estimate(0.78, 0.75, 0.81)}
    assert verdict(alike, attacks, OF_A_GAME) == (
        "These models give away which images they were trained on: by RMIA (AUC 0.78, 0.75 to 0.81 among 2 attacks)."
    )
    assert verdict(alike, {"loss": Estimate(0.6, 0.49, 0.7)}, OF_A_GAME).startswith(
        "No attack that was tried tells"
    )
    # One draw of five is enough, however well attacks do.
    refused = verdict([*alike, Estimate(0.64, 0.56, 0.72)], attacks, OF_A_GAME)
    assert refused.startswith("No verdict: ")
    assert "AUC 0.64" in refused
    assert not verdict([*alike, Estimate(0.64, 0.55, 0.72)], attacks, OF_A_GAME).startswith("No verdict")
    assert verdict(alike, attacks, OF_AN_AUDIT).startswith(
        "The model gives away which images it was trained on: by"
    )
    assert verdict(alike, {}, OF_AN_AUDIT) == "No verdict: no image could be attacked."
