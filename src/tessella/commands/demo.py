"""tessella demo: the main job on rendered scenes, from nothing to a report."""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, track

from tessella.adversarial import CodeEncoder
from tessella.commands.evaluate import print_scores
from tessella.commands.scenes import render_with_progress
from tessella.datasets import PairedFolders, class_names
from tessella.datasets.files import read_map
from tessella.datasets.nyudv2_classes import index_of_id40
from tessella.dilation import LearnableDilation
from tessella.feature_synthesis import FeatureDiscriminator, FeatureGenerator
from tessella.image_generation import Shared, Widths
from tessella.inference import InferencePlan
from tessella.metrics import ConfusionMatrix
from tessella.networks import ResNet
from tessella.recipes.features import features
from tessella.recipes.images import objects_embedding, objects_images
from tessella.recipes.streets import rooms, streets
from tessella.reports import compare_runs, comparison_table, write_report
from tessella.reports.audit import write_audit
from tessella.reports.features import write_samples
from tessella.reports.images import write_image_samples
from tessella.runs.asking import fingerprint
from tessella.runs.audit import Victim, audit
from tessella.runs.evaluation import evaluate
from tessella.runs.feature_gan import load_generator
from tessella.runs.feature_training import train_generator
from tessella.runs.image_sampling import find_conditions, sample_images
from tessella.runs.image_training import train_images
from tessella.runs.images import load_images
from tessella.runs.model import load_model
from tessella.runs.prediction import Segmenter, find_pictures, predict_pictures
from tessella.runs.sampling import find_layouts, sample_features
from tessella.runs.segmentation import Segmentation, open_split
from tessella.runs.synthetic import Synthetic
from tessella.runs.training import train
from tessella.runs.video import predict_steady_video
from tessella.runs.video_frames import FrameSequence
from tessella.scenes.objects import render_objects
from tessella.training.checkpoint_files import read_checkpoint
from tessella.training.fit import Outcome
from tessella.training.machine import Machine

SEQUENCES = {"train": 200, "val": 20, "test": 8}
MORE_STEPS = 30
ROOM_STEPS = 100
GENERATOR_STEPS = 340
JUDGE_STEPS = 80
DRAWING_STEPS = 250
BRANCHES = 8
OBJECT_SIZE = 48
# Of ten layers, not eighteen as the recipe has: it learns faster, and so more in few steps.
NETWORK = partial(streets().network, backbone=partial(ResNet, depth=10, width=16))
STREETS = replace(streets(), network=NETWORK, steps=620, validate_every=620)
# Of six views: a sixth of the time, where only differences are asked for.
ONE_VIEW = InferencePlan(scales=(0.75,))


def run(options: argparse.Namespace) -> None:
    start = time.monotonic()
    console = Console()
    data, run_folder = options.out / "streets", options.out / "run"

    console.rule("1  Render streets")
    render_with_progress(
        "street", data, sequences=SEQUENCES, frames=1, height=240, width=320, seed=0, workers=2
    )
    machine = Machine(accelerator="cpu")
    console.rule("2  Train a small PSPNet")
    _complete(train, STREETS, "streets", data, run_folder, machine)
    console.rule("3  Evaluate it on unseen streets")
    _evaluate_and_report(data, run_folder, "PSPNet")
    _segment_new_images(data, run_folder, options.out / "predictions", console)
    _learn_dilation(data, run_folder, options.out, machine, console)
    _steady_room(run_folder, options.out, machine, console)
    _check_for_leaks(data, run_folder, options.out / "audit", console)
    _make_features(data, run_folder, options.out, machine, console)
    _draw_images(options.out, machine, console)
    minutes = (time.monotonic() - start) / 60
    console.print(
        f"Done in {minutes:.1f} minutes. Open {run_folder}/report.html, {options.out}/dilation.html, "
        f"{options.out}/predictions, {options.out}/video, {options.out}/audit/audit.html, "
        f"{options.out}/samples/samples.html, {options.out}/features.html and {options.out}/images/samples.html"
    )


def _evaluate_and_report(data: Path, run_folder: Path, network: str) -> None:
    model = load_model(str(run_folder))
    dataset = open_split(STREETS, data, "val")
    scores = evaluate(
        model.on_batches(torch.device("cpu")),
        dataset,
        run_folder / "evaluation" / "val",
        description={
            "dataset": "rendered streets",
            "split": "val",
            "network": network,
            "checkpoint": "best.ckpt",
        },
        progress=lambda batches: track(batches, "Evaluating", total=len(dataset)),
    )
    print_scores(scores, dataset)
    write_report(run_folder)


def _learn_dilation(data: Path, trained: Path, out: Path, machine: Machine, console: Console) -> None:
    """Train the network a little more, its dilation fixed and learned: the same steps on the same images."""
    console.rule("5  Learn its dilation")
    more = replace(
        _trained_on(trained),
        network=partial(LearnableDilation, network=NETWORK, ranges=((2, 1, 4), (4, 1, 8))),
        dilation_learning_rate=0.02,
    )
    runs = {"fixed": replace(more, dilation_learning_rate=0.0), "learned": more}
    for name, config in runs.items():
        run_folder = out / f"dilation_{name}"
        _complete(train, config, "streets", data, run_folder, machine)
        _evaluate_and_report(data, run_folder, f"PSPNet, {name} dilation")
    folders = [out / f"dilation_{name}" for name in runs]
    console.print(comparison_table(folders))
    compare_runs(folders, out / "dilation.html")


def _trained_on(trained: Path) -> Segmentation:
    """A little more training of the trained network."""
    return replace(
        STREETS,
        weights=str(trained / "checkpoints" / "best.ckpt"),
        steps=MORE_STEPS,
        validate_every=MORE_STEPS,
        learning_rate=STREETS.learning_rate / 3,
        inference=ONE_VIEW,
    )


def _steady_room(trained: Path, out: Path, machine: Machine, console: Console) -> None:
    """Train the network on to rooms, then segment an RGB-D video: frame by frame, and pooled over time and space."""
    console.rule("6  Bring the frames of a video together")
    data, video, run_folder = out / "rooms", out / "room_video", out / "rooms_run"
    size = {"height": 240, "width": 320, "seed": 0, "workers": 2}
    render_with_progress("room", data, sequences={"train": 60, "test": 4}, frames=1, **size)
    render_with_progress("room", video, sequences={"train": 0, "test": 1}, frames=15, **size)
    config = replace(
        rooms(),
        network=NETWORK,
        weights=str(trained / "checkpoints" / "best.ckpt"),
        steps=ROOM_STEPS,
        validate_every=ROOM_STEPS,
    )
    _complete(train, config, "rooms", data, run_folder, machine)
    model = load_model(str(run_folder))
    segmenter = Segmenter(model, model.classes, torch.device("cpu"))
    (folder,) = (video / "frames" / "test").iterdir()
    frames = FrameSequence(folder)
    before, after = predict_steady_video(
        segmenter, frames, out / "video", progress=lambda each: track(each, "Segmenting", total=15)
    )
    single, steady = ConfusionMatrix(13), ConfusionMatrix(13)
    for frame in frames:
        with np.load(video / "truth" / "test" / folder.name / f"{frame.name}.npz") as truth:
            labels = torch.from_numpy(index_of_id40(13)[truth["labels"]])
        single.update(torch.from_numpy(segmenter.labels(frame.image)), labels)
        pooled = read_map(out / "video" / "labels" / folder.name / f"{frame.name}.png")
        steady.update(torch.from_numpy(np.array(pooled)), labels)
    ious = [100 * each.compute().mean_iou for each in (single, steady)]
    console.print(
        f"Single frames: mean IoU {ious[0]:.1f}, flicker {before:.1%}. Pooled: {ious[1]:.1f}, {after:.1%}"
    )


def _check_for_leaks(data: Path, run_folder: Path, out: Path, console: Console) -> None:
    console.rule("7  Ask whether it gives away its training images")
    model = replace(load_model(str(run_folder)), plan=ONE_VIEW)  # what leaks shows in it too
    members, nonmembers = (open_split(STREETS, data, split) for split in ("train", "val"))
    result = audit(
        Victim(model, str(run_folder), class_names(members.classes), fingerprint(model.network)),
        members,
        nonmembers,
        out,
        label_only=False,
        chosen="streets rendered by one program, of seeds that chance gave to training or validation",
        command=f"tessella audit run {run_folder} --members {data}:train --nonmembers {data}:val --out {out} "
        "--scales 0.75 --no-flip",
        progress=lambda batches, name, total: track(batches, f"Asking about {name}", total=total),
    )
    write_audit(out)
    console.print(result["verdict"])


def _make_features(data: Path, trained: Path, out: Path, machine: Machine, console: Console) -> None:
    """Learn to make the network's features of label maps, look at some, and train with them beside images."""
    console.rule("8  Make features of label maps")
    generator_run, run_folder = out / "generator", out / "features"
    config = replace(
        features(),
        network=str(trained),
        layout_stride=2,
        generator=partial(FeatureGenerator, reduction_width=8, blocks=2, widths=(64, 96, 128)),
        discriminator=partial(FeatureDiscriminator, reduction_width=8, blocks=2, widths=(48, 96)),
        encoder=partial(CodeEncoder, widths=(48, 96)),
        batch_size=4,
        steps=GENERATOR_STEPS,
        validate_every=GENERATOR_STEPS,
        learning_rate=1e-3,
    )
    _complete(train_generator, config, "features", data, generator_run, machine)
    generator = load_generator(str(generator_run))
    layouts = find_layouts([f"{data}:val"], generator)
    device = torch.device("cpu")
    synthetic, real = sample_features(
        generator, track(layouts, "Sampling", total=20), out / "samples", device=device
    )
    assert real is not None
    write_samples(out / "samples")
    console.print(
        f"The network reads its layouts in sampled features with mean IoU {100 * synthetic.mean_iou:.1f}, "
        f"in those of the images with {100 * real.mean_iou:.1f}"
    )
    config_with = replace(_trained_on(trained), synthetic=Synthetic(str(generator_run)))
    _complete(train, config_with, "streets", data, run_folder, machine)
    _evaluate_and_report(data, run_folder, "PSPNet, synthetic features too")
    folders = [out / "dilation_fixed", run_folder]  # as many steps on the same images
    console.print(comparison_table(folders))
    compare_runs(folders, out / "features.html")


def _draw_images(out: Path, machine: Machine, console: Console) -> None:
    """Learn to draw several pictures of the same normals, and look at some."""
    console.rule("9  Draw several images of one condition")
    data, judge, run_folder = out / "objects", out / "judge", out / "drawing"
    with Progress() as progress:
        task = progress.add_task("Rendering objects", total=None)
        render_objects(
            data,
            pictures={"train": 600, "test": 8},
            size=OBJECT_SIZE,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    pairs = partial(PairedFolders, condition="normals", size=OBJECT_SIZE)
    config = replace(objects_embedding(), dataset=pairs, steps=JUDGE_STEPS, validate_every=JUDGE_STEPS)
    _complete(train_images, config, "objects_embedding", data, judge, machine)
    of_images = replace(
        objects_images(),
        dataset=pairs,
        generator=partial(Shared, branches=BRANCHES, widths=Widths(trunk=(128, 128, 64), path=16, last=32)),
        perceptual=str(judge),
        steps=DRAWING_STEPS,
        validate_every=DRAWING_STEPS,
        warm_up=DRAWING_STEPS // 8,
    )
    _complete(train_images, of_images, "objects_images", data, run_folder, machine)
    trained = load_images(str(run_folder))
    conditions = find_conditions([f"{data}:test"], trained)
    scores = sample_images(
        trained,
        track(conditions, "Sampling", total=8),
        out / "images",
        codes=2 * BRANCHES,
        interpolated=True,
        device=torch.device("cpu"),
    )
    write_image_samples(out / "images")
    best = scores["errors"]["rmse"]["best of first"]
    console.print(
        f"Of {BRANCHES} images by training codes the nearest is {best[BRANCHES - 1]:.1f} grey values from the real "
        f"one, of {2 * BRANCHES}, half of them by new codes, {best[-1]:.1f}; a single one {best[0]:.1f}"
    )


def _complete(
    train_it: Callable[..., Outcome], config: Any, recipe: str, data: Path, run: Path, machine: Machine
) -> None:
    """Train, or go on where a former demo was stopped, or leave what is complete.

    KeyboardInterrupt where the user stops it: the steps that follow need it whole.
    """
    last = run / "checkpoints" / "last.ckpt"
    if last.exists() and read_checkpoint(last)["tessella"]["step"] >= config.steps:
        print(f"{run} holds a complete training: remove it to begin anew")
    elif train_it(config, recipe, data, run, machine=machine, resume=last.exists()).interrupted:
        raise KeyboardInterrupt


def _segment_new_images(data: Path, run_folder: Path, out: Path, console: Console) -> None:
    console.rule("4  Segment new images")
    model = load_model(str(run_folder))
    pictures = find_pictures([data / "leftImg8bit" / "test"])
    predict_pictures(Segmenter(model, model.classes, torch.device("cpu")), track(pictures, "Segmenting"), out)
