"""tessella predict: label maps and overlays of images, folders and videos."""

import argparse
from functools import partial

from rich.progress import track

from tessella.commands.model import open_model
from tessella.inference import DenseCRF
from tessella.runs.prediction import Segmenter, find_pictures, is_video, predict_pictures, predict_video


def run(options: argparse.Namespace) -> None:
    videos = [path for path in options.inputs if is_video(path)]
    pictures = find_pictures([path for path in options.inputs if path not in videos])
    model, device = open_model(options)
    segmenter = Segmenter(model, model.classes, device, DenseCRF() if options.crf else None)
    predict_pictures(segmenter, track(pictures, "Segmenting"), options.out, posteriors=options.posteriors)
    for video in videos:
        predict_video(segmenter, video, options.out, partial(track, description=f"Segmenting {video.name}"))
    print(f"Wrote labels and overlays to {options.out}")
