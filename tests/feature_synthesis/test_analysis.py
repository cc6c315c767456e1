"""Entropy and overlap of histograms, against a slow reference."""

import numpy as np
import pytest
import torch

from tessella.feature_synthesis.analysis import distribution


def samples():
    torch.manual_seed(0)
    for _ in range(4):
        labels = torch.randint(0, 3, (40, 40))
        labels[:2] = 255
        yield torch.randn(5, 40, 40) + 2 * labels.clamp(max=2)[None] * torch.arange(5)[:, None, None], labels


def test_against_numpy():
    scaled, index = [], []
    for feature, labels in samples():
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
    found = distribution(samples(), 3)
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
