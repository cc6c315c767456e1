"""tessella predict: label maps and overlays of images, folders and videos."""

import argparse
from functools import partial

from rich.progress import track

from tessella.commands.model import open_model
from tessella.errors import InputError
from tessella.inference import DenseCRF
from tessella.runs.flows import load_flow
from tessella.runs.model import is_url
from tessella.runs.prediction import Segmenter, find_pictures, predict_pictures, require_distinct
from tessella.runs.video import is_video, predict_steady_video, predict_video
from tessella.runs.video_frames import FrameSequence


def run(options: argparse.Namespace) -> None:
    if options.video:
        _run_steady(options)
    else:
        _run_frame_by_frame(options)
    print(f"Wrote labels and overlays to {options.out}")


def _run_frame_by_frame(options: argparse.Namespace) -> None:
    videos = [path for path in options.inputs if is_video(path)]
    pictures = find_pictures([path for path in options.inputs if path not in videos], options.out)
    require_distinct(video.stem for video in videos)
    if videos and options.sure is not None:
        raise InputError(f"--sure is for pictures; {videos[0]} is a video")
    segmenter, _ = _segmenter(options)
    predict_pictures(
        segmenter,
        track(pictures, "Segmenting"),
        options.out,
        posteriors=options.posteriors,
        sure=options.sure,
    )
    for video in videos:
        predict_video(segmenter, video, options.out, partial(track, description=f"Segmenting {video.name}"))


def _run_steady(options: argparse.Namespace) -> None:
    if options.sure is not None:
        raise InputError("--sure is for pictures, not for --video")
    if options.views < 0:
        raise InputError(f"--views {options.views}: give the number of frames to either side, 0 or more")
    videos = [FrameSequence(path) for path in options.inputs]
    require_distinct(video.name for video in videos)
    segmenter, channels = _segmenter(options)
    for video in videos:
        before, after = predict_steady_video(
            segmenter,
            video,
            options.out,
            channels=channels,
            reach=options.views,
            regions=options.regions,
            flow=load_flow(options.flow),
            posteriors=options.posteriors,
            progress=partial(track, description=f"Segmenting {video.name}"),
        )
        print(
            f"{video.name}: flicker {before:.1%} -> {after:.1%} of the pixels that could be followed"
            if before == before
            else f"{video.name}: no pixel could be followed from one frame to the next"
        )


def _segmenter(options: argparse.Namespace) -> tuple[Segmenter, int]:
    """The model's, and how many channels it takes."""
    model, device = open_model(options)
    crf = DenseCRF() if options.crf else None
    channels = None if is_url(options.model) else model.channels  # a server does not say
    return Segmenter(model, model.classes, device, crf, model.resize, channels), model.channels
