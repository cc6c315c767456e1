from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tessella.errors import InputError
from tessella.inference import VideoReader, VideoWriter, predict_frames
from tessella.inference.video import natural_order


def frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A bright square that moves to the right over a coloured ramp."""
    ramp = np.linspace(20, 120, width, dtype=np.uint8)
    result = []
    for index in range(count):
        frame = np.stack([np.tile(ramp, (height, 1)), np.full((height, width), 40, np.uint8)] * 2, 2)[..., :3]
        frame = np.ascontiguousarray(frame)
        frame[10:26, 4 * index : 4 * index + 16] = (240, 200, 30)
        result.append(frame)
    return result


def write(path: Path, pictures: list[np.ndarray], **options: float) -> None:
    with VideoWriter(path, **options) as video:
        for picture in pictures:
            video.write(picture)


@pytest.mark.parametrize(("name", "tolerance"), [("a.mp4", 6), ("a.avi", 6), ("a.mkv", 0)])
def test_what_is_written_is_read_back(tmp_path: Path, name: str, tolerance: float) -> None:
    pictures = frames(5)
    write(tmp_path / name, pictures, frames_per_second=12)
    reader = VideoReader(tmp_path / name)
    assert reader.frames_per_second == pytest.approx(12)
    for _ in range(2):  # every iteration begins anew
        back = list(reader)
        assert [frame.name for frame in back] == ["000000", "000001", "000002", "000003", "000004"]
        for frame, picture in zip(back, pictures, strict=True):
            assert frame.image.shape == picture.shape
            assert np.abs(frame.image.astype(int) - picture).mean() <= tolerance
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_odd_sides_are_made_even(tmp_path: Path) -> None:
    picture = frames(1, 49, 65)[0]
    write(tmp_path / "a.mkv", [picture, picture])
    back = next(iter(VideoReader(tmp_path / "a.mkv"))).image
    assert back.shape == (50, 66, 3)
    np.testing.assert_array_equal(back[:49, :65], picture)
    np.testing.assert_array_equal(back[49], back[48])


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write(path, frames(2))
    before = path.read_bytes()

    def interrupted() -> None:
        with VideoWriter(path) as video:
            video.write(frames(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.avi"]


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    names = ["f1", "f2", "f9", "f10", "f010b", "g", "über"]
    for shade, name in enumerate(names):
        data = cv2.imencode(".png", np.full((4, 6, 3), (shade, 0, 200), np.uint8))[1]
        data.tofile(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    reader = VideoReader(tmp_path)
    assert reader.frames_per_second is None
    assert [frame.name for frame in reader] == names
    assert [tuple(frame.image[0, 0]) for frame in reader] == [(200, 0, shade) for shade in range(len(names))]


def test_digits_that_are_no_numbers_are_letters() -> None:
    assert natural_order("1²3.png") < natural_order("2.png")
    assert natural_order("a1.png") < natural_order("a²2.png")


def test_frames_are_predicted_one_by_one(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", frames(3))

    def prepare(image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image).permute(2, 0, 1) / 255

    reader = VideoReader(tmp_path / "a.mkv")
    results = list(predict_frames(lambda image: image.softmax(1), reader, prepare))
    assert [frame.name for frame, _ in results] == ["000000", "000001", "000002"]
    for frame, posteriors in results:
        torch.testing.assert_close(posteriors, prepare(frame.image).softmax(0))


def test_unreadable_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.mp4: does not exist; give a video file or a folder"):
        VideoReader(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match=r": no pictures; give a folder of "):
        VideoReader(tmp_path)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(InputError, match=r"text\.mp4: not a video that can be decoded"):
        VideoReader(tmp_path / "text.mp4")
    for content in (b"", b"broken"):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.png: not a picture that can be decoded"):
            list(VideoReader(tmp_path))


def test_a_video_without_frames_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.avi", frames(1))
    reader = VideoReader(tmp_path / "a.avi")

    class Empty:
        def __init__(self, path: str) -> None:
            self.path = path

        def isOpened(self) -> bool:
            return True

        def read(self) -> tuple[bool, None]:
            return False, None

        def release(self) -> None:
            self.path = ""

    monkeypatch.setattr(cv2, "VideoCapture", Empty)
    with pytest.raises(InputError, match=r"a\.avi: holds no frame that can be decoded"):
        list(reader)


def test_impossible_videos_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif: give a name that ends in one of \.mp4, \.avi, \.mkv$"):
        VideoWriter(tmp_path / "a.gif")
    with pytest.raises(InputError, match=r"^frames_per_second: 0"):
        VideoWriter(tmp_path / "a.avi", 0)
    with pytest.raises(InputError, match=r"a\.avi: no frames to write$"), VideoWriter(tmp_path / "a.avi"):
        pass
    with pytest.raises(InputError, match=r"frame of 10x10 pixels after 48x64"):
        write(tmp_path / "a.avi", [frames(1)[0], np.zeros((10, 10, 3), np.uint8)])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"a\.avi: its folder does not exist; make it first$"):
        VideoWriter(tmp_path / "nowhere" / "a.avi")
    (tmp_path / ".a.partial.avi").mkdir()
    with pytest.raises(InputError, match=r"a\.avi: cannot be written; check the folder's rights and room$"):
        VideoWriter(tmp_path / "a.avi").write(frames(1)[0])
