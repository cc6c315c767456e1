"""What an audit says where members and non-members are of different drives: CamVid's official split.

    python benchmarks/camvid_official_split.py CAMVID

Method: the small network of the recipe ``camvid_game`` after two updates, which can have learned no image by heart, is
audited with the training images as members, once with the test images as non-members and once with the validation
images. Kept of each audit: the verdict, the baseline that does not look at the model, and the AUC of every attack.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from tessella.files import write_json
from tessella.recipes.camvid import camvid_game
from tessella.runs.audit import Victim, audit
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.runs.segmentation import open_split
from tessella.runs.training import train


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("camvid", type=Path)
    options = parser.parse_args()
    config = replace(camvid_game(), steps=2, validate_every=2)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(config, "camvid_game", options.camvid, run)
        model = load_model(str(run))
        victim = Victim(model, "camvid_game after two updates", [label.name for label in model.classes or ()])
        members = open_split(config, options.camvid, "train")
        for split in ("test", "val"):
            nonmembers = open_split(config, options.camvid, split)
            result = audit(victim, members, nonmembers, Path(folder) / split, label_only=False)
            found[f"train against {split}"] = {
                **{name: result[name] for name in ("images", "blocks", "verdict", "blind")},
                "attacks": {name: attack["auc"] for name, attack in result["attacks"].items()},
            }
            print(split, result["verdict"], flush=True)
    write_json(Path(__file__).parent / "results" / "camvid_official_split.json", {**found, **environment()})


if __name__ == "__main__":
    main()
