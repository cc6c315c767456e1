"""The scenes are frozen: comparisons are made on them. Where these pictures change, ``VERSION`` must.

Coarse, since another processor or OpenCV may round a pixel differently. To record after a change of the version:
``python tests/scenes/test_frozen.py``.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tessella.scenes import VERSION, sequence

RECORD = Path(__file__).parent / "frozen.json"


def fingerprint(kind, seed):
    """Mean colour of 4x3 parts of the image, median depth of each, and the share of every label."""
    frame = next(sequence(kind, seed, 1, height=120, width=160))
    labels, counts = np.unique(frame.labels, return_counts=True)
    depth = frame.depth.reshape(3, 40, 4, 40)
    return {
        "colors": cv2.resize(frame.image, (4, 3), interpolation=cv2.INTER_AREA).ravel().tolist(),
        "depth": np.median(depth.astype(float), axis=(1, 3)).round(2).ravel().tolist(),
        "shares": {
            str(label): round(count / frame.labels.size, 4)
            for label, count in zip(labels, counts, strict=True)
        },
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", ["street", "room"])
def test_scenes_are_those_of_this_version(kind, seed):
    record = json.loads(RECORD.read_text())
    assert record["version"] == VERSION
    expected, found = record[f"{kind} {seed}"], fingerprint(kind, seed)
    np.testing.assert_allclose(found["colors"], expected["colors"], atol=2)
    np.testing.assert_allclose(found["depth"], expected["depth"], rtol=0.02, atol=0.02)
    assert found["shares"].keys() == expected["shares"].keys()
    for label, share in expected["shares"].items():
        assert found["shares"][label] == pytest.approx(share, abs=0.003)


if __name__ == "__main__":
    prints = {f"{kind} {seed}": fingerprint(kind, seed) for kind in ("street", "room") for seed in (0, 1, 2)}
    lines = [f'"version": {VERSION}', *(f'"{name}": {json.dumps(value)}' for name, value in prints.items())]
    RECORD.write_text("{" + ",\n".join(lines) + "}\n")
