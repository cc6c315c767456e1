"""CamVid's official split: training and test images are of different drives, so that an audit refuses it."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from tests.runs.test_end_to_end import TINY, run


@pytest.mark.realdata
@pytest.mark.skipif("TESSELLA_DATA" not in os.environ, reason="TESSELLA_DATA is not set")
def test_the_audit_refuses(tmp_path):
    """All its images, made small; a network of two updates has learned none of them by heart."""
    data = tmp_path / "camvid"
    for split in ("train", "val", "test"):
        for name in (split, f"{split}annot"):
            (data / name).mkdir(parents=True)
            for file in sorted((Path(os.environ["TESSELLA_DATA"]) / "camvid" / name).iterdir()):
                with Image.open(file) as image:  # nearest pixels: labels stay labels
                    image.resize((96, 72), Image.Resampling.NEAREST).save(data / name / f"{file.stem}.png")
    few = (
        "--steps",
        "2",
        "--class_weights",
        "none",
        "--inference.scales",
        "[1]",
        "--inference.flip",
        "false",
    )
    assert (
        run("train", "camvid", "--data", data, "--out", tmp_path / "run", "--no-progress", *TINY, *few) == 0
    )
    sides = ("--members", f"{data}:train", "--nonmembers", f"{data}:test")
    assert run("audit", "run", tmp_path / "run", *sides, "--out", tmp_path / "audit", "--no-label-only") == 0
    result = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert result["blind"]["auc"]["value"] > 0.9
    assert result["verdict"].startswith("No verdict: members and non-members can be told apart")
