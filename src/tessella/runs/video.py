"""Segments videos into files: frame by frame, or steadily, with what the frames around tell."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tessella.datasets.files import IMAGE_ENDINGS
from tessella.errors import InputError
from tessella.files import jpeg, write_bytes, write_json
from tessella.inference import Frame, VideoReader, VideoWriter, most_probable
from tessella.metrics import Flicker
from tessella.pictures import contact_sheet, legend, overlay, save_label_png
from tessella.pooling.flow import Flow, Motion, optical_flow
from tessella.pooling.video import View, steady
from tessella.runs.prediction import (
    LARGE_IMAGE_PIXELS,
    Segmenter,
    write_posteriors,
)
from tessella.runs.video_frames import FrameSequence, VideoFrame


def predict_video(
    segmenter: Segmenter,
    video: Path,
    out: Path,
    progress: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
) -> None:
    """Write ``labels/VIDEO/FRAME.png`` for each frame, and the overlays as the video ``overlays/VIDEO.mp4``."""
    frames = VideoReader(video)
    target = out / "overlays" / f"{video.stem}.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(target, frames.frames_per_second or 25.0) as writer:
        for frame in progress(frames):
            labels = segmenter.labels(frame.image)
            palette = segmenter.palette(labels)
            save_label_png(out / "labels" / video.stem / f"{frame.name}.png", labels, palette)
            writer.write(overlay(frame.image, labels, palette))


def predict_steady_video(
    segmenter: Segmenter,
    video: FrameSequence,
    out: Path,
    *,
    channels: int = 3,
    reach: int = 10,
    regions: Sequence[int] = (200, 600),
    flow: Flow = optical_flow,
    posteriors: bool = False,
    progress: Callable[[Iterable[VideoFrame]], Iterable[VideoFrame]] = iter,
) -> tuple[float, float]:
    """Pool each frame with ``reach`` frames to either side and over superpixels; the flicker before and after.

    Writes what ``predict_video`` does, and in ``steady/VIDEO/`` the flicker as ``flicker.json`` and some frames before
    and after as ``sheet.jpg``. reach, regions, flow: as ``steady`` takes them.
    channels: what the model takes; 6 are colour and HHA.
    posteriors: also write ``posteriors/VIDEO/FRAME.npz``, [K, H, W] float16.

    Raises InputError where the model needs depth and the video has none, and for frames that are too large.
    """
    if channels == 6 and not video.has_depth:
        raise InputError(
            f"{video.path}: the model takes colour and HHA, 6 channels, and there is no depth; "
            "give a folder of *_color.png (or .jpg) with *_depth_filled.png"
        )
    waiting: deque[tuple[VideoFrame, np.ndarray]] = deque()  # frames that are read and not yet steadied

    def views() -> Iterator[View]:
        for frame in progress(video):
            _require_size(video, frame, waiting[-1][0] if waiting else frame)
            scores = segmenter.posteriors(frame.picture(channels))
            waiting.append((frame, most_probable(scores)))
            yield View(frame.image, scores, frame.depth)

    before, after, sheet = Flicker(), Flicker(), Sheet(segmenter)
    last: tuple[np.ndarray, np.ndarray, Motion] | None = None
    target = out / "overlays" / f"{video.name}.mp4"
    target.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(target, video.frames_per_second) as writer:
        for pooled, motion in steady(views(), reach, regions, flow=flow):
            frame, single = waiting.popleft()
            labels = most_probable(pooled)
            palette = segmenter.palette(labels)
            save_label_png(out / "labels" / video.name / f"{frame.name}.png", labels, palette)
            writer.write(overlay(frame.image, labels, palette))
            if posteriors:
                write_posteriors(out / "posteriors" / video.name / f"{frame.name}.npz", pooled)
            if last is not None:
                last_single, last_labels, moved = last
                before.update(last_single, single, moved.forward, moved.forward_holds)
                after.update(last_labels, labels, moved.forward, moved.forward_holds)
            last = None if motion is None else (single, labels, motion)
            sheet.add(frame, single, labels)
    scores = before.compute(), after.compute()
    _write_flicker(out / "steady" / video.name / "flicker.json", *scores, before.followed)
    write_bytes(out / "steady" / video.name / "sheet.jpg", jpeg(sheet.draw()))
    return scores


class Sheet:
    """A few frames before and after, evenly spread over a video of unknown length."""

    def __init__(self, segmenter: Segmenter, rows: int = 5) -> None:
        self.segmenter, self.rows = segmenter, rows
        self.seen, self.stride = 0, 1
        self.kept: list[tuple[VideoFrame, np.ndarray, np.ndarray]] = []

    def add(self, frame: VideoFrame, single: np.ndarray, steady: np.ndarray) -> None:
        """The next frame, its labels [H, W] alone and pooled."""
        if self.seen % self.stride == 0:
            self.kept.append((frame, single, steady))
        self.seen += 1
        if len(self.kept) > self.rows:
            self.kept, self.stride = self.kept[::2], 2 * self.stride

    def draw(self) -> np.ndarray:
        """[H, W, 3] uint8, with the legend of the classes that are seen, if the model names any."""
        palette = self.segmenter.palette(
            np.array([labels.max() for _, *both in self.kept for labels in both])
        )
        tinted = partial(overlay, palette=palette, draw_contours=False)  # lines would hide what flickers
        sheet = contact_sheet(
            [[frame.image, *(tinted(frame.image, labels) for labels in both)] for frame, *both in self.kept],
            titles=["image", "single frame", "steady"],
            labels=[frame.name for frame, _, _ in self.kept],
        )
        if self.segmenter.classes is None:
            return sheet
        shown = np.unique([labels for _, *both in self.kept for labels in both])
        names = legend([self.segmenter.classes[label] for label in shown], width=sheet.shape[1])
        return np.concatenate([sheet, names])


def is_video(path: Path) -> bool:
    """Whether ``path`` is a file of another kind than the image formats that are read."""
    return path.is_file() and path.suffix.lower() not in IMAGE_ENDINGS


def _require_size(video: FrameSequence, frame: VideoFrame, before: VideoFrame) -> None:
    size, size_before = (list(each.image.shape[:2]) for each in (frame, before))
    if size != size_before:
        raise InputError(
            f"{video.path}: frame {frame.name} is {size} after {size_before}; all frames of a video have one size"
        )
    if size[0] * size[1] > LARGE_IMAGE_PIXELS:
        raise InputError(
            f"{video.path}: frames of {size} are too large, as posteriors of many are held in memory; "
            f"make them smaller, {LARGE_IMAGE_PIXELS / 1e6:g} million pixels at most"
        )


def _write_flicker(path: Path, before: float, after: float, followed: int) -> None:
    """JSON has no nan: where no pixel was followed, both are null."""
    shares = (before, after) if followed else (None, None)
    content = {"single_frames": shares[0], "steady": shares[1], "followed_pixels": followed}
    write_json(path, content)
