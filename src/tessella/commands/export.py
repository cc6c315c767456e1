"""tessella export: a file that runs without Tessella."""

import argparse

from tessella.errors import InputError
from tessella.networks.export import export
from tessella.runs.model import load_model


def run(options: argparse.Namespace) -> None:
    model = load_model(options.model)
    if model.resize is not None:
        raise InputError(
            f"this model was trained on images resized to {model.resize[0]}x{model.resize[1]}: export takes models "
            "trained with resize none"
        )
    report = export(
        model.network,
        options.out,
        input_size=(options.height, options.width),
        in_channels=int(model.network.mean.numel()),  # type: ignore[operator]
        classes=model.classes or (),
    )
    print(report)
