"""Entropy and overlap of histograms, against a slow reference."""

import weakref

import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.feature_synthesis.analysis import distribution


def drawn():
    torch.manual_seed(0)
    for _ in range(8):
        labels = torch.randint(0, 3, (40, 40))
        labels[:2] = 255
        yield torch.randn(5, 40, 40) + 2 * labels.clamp(max=2)[None] * torch.arange(5)[:, None, None], labels


class Samples:
    """Drawn anew, the same, each time; none is held."""

    def __iter__(self):
        return drawn()


def test_against_numpy():
    scaled, index = [], []
    for feature, labels in drawn():
        array = feature.numpy()
        scaled.append((array * 100 / np.linalg.norm(array)).reshape(5, -1))
        index.append(labels.numpy().reshape(-1))
    values, classes = np.concatenate(scaled, 1), np.concatenate(index)
    entropies, overlaps = [], []
    for channel in values:
        shares = []
        for label in range(3):
            counts, _ = np.histogram(channel[classes == label], 256, (channel.min(), channel.max()))
            share = counts / counts.sum()
            shares.append(share)
            entropies.append(-sum(p * np.log(p) for p in share if p > 0))
        for a in range(3):
            for b in range(a):
                overlaps.append(
                    np.minimum(shares[a], shares[b]).sum() / np.maximum(shares[a], shares[b]).sum()
                )
    found = distribution(Samples(), 3)
    assert found.entropy() == pytest.approx(np.mean(entropies), rel=1e-3)
    assert found.overlap() == pytest.approx(np.mean(overlaps), rel=1e-3)
    assert found.counts.sum() == 5 * (classes != 255).sum()


def test_rare_classes_do_not_count():
    feature, labels = torch.randn(2, 40, 40), torch.zeros(40, 40, dtype=torch.long)
    labels[:2] = 1
    found = distribution([(feature, labels)], 3)
    assert np.isnan(found.overlap())
    assert found.entropy() > 3
    assert np.isnan(distribution([(feature[:, :5], labels[:5])], 3).entropy())


def test_labels_at_another_resolution():
    feature = torch.randn(2, 40, 40)
    labels = torch.zeros(80, 80, dtype=torch.long)
    labels[:, 40:] = 1
    found = distribution([(feature, labels)], 2)
    assert found.counts[0, 0].sum() == found.counts[1, 0].sum() == 800


def test_one_sample_is_held_at_a_time():
    """The result is that of all samples at once, count by count."""
    alive, most = [], []

    class Watched:
        def __iter__(self):
            for feature, labels in drawn():
                alive[:] = [each for each in alive if each() is not None]
                alive.append(weakref.ref(feature))
                most.append(len(alive))
                yield feature, labels

    found = distribution(Watched(), 3, norm=None)
    assert len(most) == 16
    assert max(most) <= 3  # the one that is made, the one before it, and the last of the former pass
    kept = list(drawn())
    joined = torch.cat([feature.flatten(1) for feature, _ in kept], 1)
    assert np.array_equal(found.low, joined.min(1).values)
    assert np.array_equal(found.high, joined.max(1).values)
    for channel in range(5):
        for label in range(3):
            values = joined[channel][torch.cat([labels.flatten() for _, labels in kept]) == label].numpy()
            place = (values - found.low[channel]) / (found.high[channel] - found.low[channel]) * 256
            expected = np.bincount(np.minimum(place.astype(int), 255), minlength=256)
            assert np.array_equal(found.counts[label, channel], expected)


def test_samples_that_cannot_be_gone_through_twice():
    with pytest.raises(InputError, match="gone through twice: give a list"):
        distribution(drawn(), 3)
    with pytest.raises(InputError, match="no sample"):
        distribution([], 3)
