"""On signals whose distributions are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from tessella.errors import InputError
from tessella.membership_inference.reference import lira, rmia
from tessella.membership_inference.statistics import auc


def game(models=20, images=300, gain=1.5, signals=1, seed=0):
    """Images of all kinds of difficulty, which hides from a threshold what being a member adds."""
    rng = np.random.default_rng(seed)
    members = (
        np.argsort(rng.random((models, images)), axis=0) < models // 2
    )  # each image in half of the models
    difficulty = rng.normal(0, 4, (images, signals))
    values = difficulty + gain * members[..., None] + rng.normal(0, 1, (models, images, signals))
    return values, members


def split(scores, members):
    return scores[members], scores[~members]


def test_lira_is_the_ratio_of_two_normal_densities():
    values, members = game(images=30)
    for spread in ("shared", "own"):
        found = lira(values, members, 3, spread=spread)
        others = [m for m in range(20) if m != 3]
        apart = {
            side: [values[m, n, 0] - values[[o for o in others if members[o, n] == side], n, 0].mean()
                   for n in range(30) for m in others if members[m, n] == side]
            for side in (True, False)
        }  # fmt: skip
        for n in (0, 7, 29):
            expected = 0.0
            for side, sign in ((True, 1), (False, -1)):
                own = [values[m, n, 0] for m in others if members[m, n] == side]
                freedom = sum((members[others, k] == side).sum() - 1 for k in range(30))
                shared = np.sqrt(np.square(apart[side]).sum() / freedom)
                deviation = np.std(own, ddof=1) if spread == "own" else shared
                expected += sign * norm.logpdf(values[3, n, 0], np.mean(own), deviation)
            assert found[n] == pytest.approx(expected, rel=1e-5)


def test_lira_of_several_signals():
    values, members = game(images=40, signals=3, seed=1)
    found = lira(values, members, 0)
    others = np.arange(1, 20)
    densities = {}
    for side in (True, False):
        means = [values[others][members[others][:, n] == side, n].mean(0) for n in range(40)]
        apart = np.concatenate(
            [values[others][members[others][:, n] == side, n] - means[n] for n in range(40)]
        )
        covariance = apart.T @ apart / sum((members[others][:, n] == side).sum() - 1 for n in range(40))
        densities[side] = [multivariate_normal.logpdf(values[0, n], means[n], covariance) for n in range(40)]
    np.testing.assert_allclose(found, np.subtract(densities[True], densities[False]), rtol=1e-5)


def test_references_find_what_a_threshold_cannot():
    values, members = game()
    victim = 5
    simple = auc(*split(values[victim, :, 0], members[victim]))
    scores = {
        "online": lira(values, members, victim),
        "offline": lira(values, members, victim, online=False),
        "rmia": rmia(-np.exp(-values[..., 0] / 8), members, victim),
        "rmia offline": rmia(-np.exp(-values[..., 0] / 8), members, victim, online=False),
    }
    found = {name: auc(*split(score, members[victim])) for name, score in scores.items()}
    assert simple < 0.65
    best = norm.cdf(1.5 / np.sqrt(2))  # of two normal distributions 1.5 apart
    assert found["online"] == pytest.approx(best, abs=0.04)
    assert found["offline"] == pytest.approx(best, abs=0.06)
    assert found["rmia"] > 0.75
    assert found["rmia offline"] > 0.7
    more, same = game(signals=4, seed=2)
    assert auc(*split(lira(more, same, victim), same[victim])) > 0.95  # 0.98 at best


def test_models_that_learned_nothing_give_nothing_away():
    values, members = game(gain=0.0, images=2000, seed=3)
    for score in (lira(values, members, 0), lira(values, members, 0, online=False)):
        assert auc(*split(score, members[0])) == pytest.approx(0.5, abs=0.04)


def test_rmia_counts_what_an_image_dominates():
    values, members = game(models=6, images=12, seed=4)
    log_likelihoods = -np.exp(-values[..., 0] / 8)
    found = rmia(log_likelihoods, members, 2, gamma=1.1)
    others = [0, 1, 3, 4, 5]
    ratio = [
        np.exp(log_likelihoods[2, n])
        / np.mean(
            [np.mean([np.exp(log_likelihoods[m, n]) for m in others if members[m, n] == s]) for s in (0, 1)]
        )
        for n in range(12)
    ]
    for n in range(12):
        assert found[n] == pytest.approx(np.mean([ratio[n] / ratio[z] >= 1.1 for z in range(12) if z != n]))


def test_images_without_a_signal_do_not_narrow_the_spread():
    values, members = game(images=400)
    missing = values.copy()
    missing[:, 200:] = np.nan
    for online in (True, False):
        alone = lira(values[:, :200], members[:, :200], 0, online=online)
        found = lira(missing, members, 0, online=online)
        np.testing.assert_allclose(found[:200], alone)
        assert np.isnan(found[200:]).all()


def test_members_as_numbers():
    values, members = game(images=30)
    for attack, given in ((lira, values), (rmia, values[..., 0])):
        assert np.array_equal(attack(given, members.astype(int), 3), attack(given, members, 3))


def test_images_without_references():
    values, members = game(images=5)
    members[:, 2] = True
    for score in (lira(values, members, 0), rmia(values[..., 0] - 20, members, 0)):
        assert np.isnan(score).tolist() == [False, False, True, False, False]
    with pytest.raises(InputError, match="spread 'own' takes one signal"):
        lira(np.zeros((4, 5, 2)), members[:4], 0, spread="own")
    with pytest.raises(InputError, match=r"signals are of \[4, 5\] models and images, members \[20, 5\]"):
        rmia(np.zeros((4, 5)), members, 0)
    with pytest.raises(InputError, match="at least two others"):
        lira(values[:2], members[:2], 0)
