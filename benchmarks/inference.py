"""Times inference: plans against one another, PSPNet-50 against its Hugging Face twin, and the dense CRF.

    python benchmarks/inference.py --out inference.json

Method: every candidate of a group runs once per round, in turn, so that a change of the machine's load
meets all of them; a first round is not counted; medians over the rounds are reported, in seconds, with
the quartiles beside them. The twin is put together from parts of ``transformers`` and loaded with the
same weights; the script stops unless both give the same posteriors. "forward" times the networks alone,
"posteriors" with this package's way of calling them.
"""

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from timing import taking_turns  # beside this file
from torch import Tensor, nn

from tessella.inference import DenseCRF, InferencePlan, Predictor, Windows, posteriors
from tessella.networks import PSPNet, ResNet

CLASSES = 11


class HuggingFacePSPNet(nn.Module):
    """PSPNet-50 of ``transformers``' ResNet, dilated to stride 8, and the pyramid of its UPerNet."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ResNetBackbone, ResNetConfig
        from transformers.models.upernet.modeling_upernet import (
            UperNetConvModule,
            UperNetPyramidPoolingModule,
        )

        self.backbone = ResNetBackbone(ResNetConfig(out_features=["stage4"]))
        for dilation, stage in zip((2, 4), self.backbone.encoder.stages[2:], strict=True):
            for convolution in stage.modules():
                if isinstance(convolution, nn.Conv2d):
                    convolution.stride = (1, 1)
                    if convolution.kernel_size == (3, 3):
                        convolution.dilation = convolution.padding = (dilation, dilation)
        self.pyramid = UperNetPyramidPoolingModule((1, 2, 3, 6), 2048, 512, align_corners=False)
        self.bottleneck = UperNetConvModule(2048 + 4 * 512, 512, kernel_size=3, padding=1)
        self.classifier = nn.Conv2d(512, CLASSES, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = self.backbone(image).feature_maps[-1]
        x = self.bottleneck(torch.cat([features, *self.pyramid(features)], dim=1))
        return nn.functional.interpolate(self.classifier(x), image.shape[2:], mode="bilinear")

    def load_weights_of(self, network: PSPNet) -> None:
        """Copies the weights of our network, layer by layer."""
        ours, theirs = network.backbone, self.backbone
        copies: list[tuple[nn.Module, nn.Module]] = [
            (ours.conv1, theirs.embedder.embedder.convolution),
            (ours.bn1, theirs.embedder.embedder.normalization),
        ]
        stages = zip((ours.layer1, ours.layer2, ours.layer3, ours.layer4), theirs.encoder.stages, strict=True)
        for our_stage, their_stage in stages:
            for block, layer in zip(our_stage, their_stage.layers, strict=True):
                if block.downsample is not None:
                    copies.append((block.downsample[0], layer.shortcut.convolution))
                    copies.append((block.downsample[1], layer.shortcut.normalization))
                for number, part in enumerate(layer.layer, start=1):
                    copies.append((getattr(block, f"conv{number}"), part.convolution))
                    copies.append((getattr(block, f"bn{number}"), part.normalization))
        for our_level, their_level in zip(network.ppm.features, self.pyramid.blocks, strict=True):
            copies.append((our_level[1], their_level.layers[1].conv))
            copies.append((our_level[2], their_level.layers[1].batch_norm))
        copies.append((network.cls[0], self.bottleneck.conv))
        copies.append((network.cls[1], self.bottleneck.batch_norm))
        copies.append((network.cls[4], self.classifier))
        for source, target in copies:
            target.load_state_dict(source.state_dict())


def interleaved(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Median and quartiles of each candidate's seconds."""
    return {
        name: dict(
            zip(("lower_quartile", "median", "upper_quartile"), statistics.quantiles(times), strict=True)
        )
        for name, times in taking_turns(candidates, rounds).items()
    }


def plans(rounds: int) -> dict:
    """A small network (PSPNet-18) on one 320x240 image: what windows, scales and flips cost."""
    network = PSPNet(CLASSES, backbone=partial(ResNet, depth=18))
    image = torch.randn(1, 3, 240, 320)
    windows = Windows(160, 160)
    candidates = {
        "whole": InferencePlan(),
        "flip": InferencePlan(flip=True),
        "windows 160x160": InferencePlan(windows),
        "windows 160x160, 4 per pass": InferencePlan(Windows(160, 160, batch=4)),
        "three scales, flip": InferencePlan(scales=(0.75, 1.0, 1.25), flip=True),
    }
    return interleaved(
        {name: partial(Predictor(network, plan), image) for name, plan in candidates.items()}, rounds
    )


def against_hugging_face(rounds: int) -> dict:
    """PSPNet-50 and its twin, batch 1."""
    ours = PSPNet(CLASSES, backbone=partial(ResNet, depth=50)).eval()
    twin = HuggingFacePSPNet().eval()
    twin.load_weights_of(ours)
    results = {}
    for height, width in ((240, 320), (473, 473)):
        image = torch.randn(1, 3, height, width)
        torch.testing.assert_close(posteriors(ours, image), posteriors(twin, image), atol=1e-4, rtol=1e-3)
        with torch.inference_mode():
            results[f"{width}x{height}"] = interleaved(
                {
                    "forward, ours": partial(ours, image),
                    "forward, hugging face": partial(twin, image),
                    "posteriors, ours": partial(posteriors, ours, image),
                    "posteriors, hugging face": partial(posteriors, twin, image),
                },
                rounds,
            )
    return results


def dense_crf(rounds: int) -> dict:
    """Ten iterations on smooth noise, which holds more colours than a photograph."""
    results = {}
    for width, height, classes in ((320, 240, 11), (640, 480, 21)):
        coarse = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(0))
        colors = nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)
        image = (colors * 255).byte().permute(1, 2, 0).numpy()
        given = torch.randn(classes, height, width).softmax(0)
        results[f"{width}x{height}x{classes}"] = interleaved(
            {"dense CRF": partial(DenseCRF(), given, image)}, max(rounds // 2, 2)
        )
    return results


GROUPS = {"plans": plans, "against_hugging_face": against_hugging_face, "dense_crf": dense_crf}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, help="at least 2")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--out", help="JSON file to write; printed in any case")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    result = {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": arguments.threads},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "rounds": arguments.rounds,
        "seconds": {group: GROUPS[group](arguments.rounds) for group in arguments.groups},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        with open(arguments.out, "w") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
