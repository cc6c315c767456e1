"""Finds images and label maps on disk and decodes them strictly: damage is an error, never a grey patch."""

import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tessella.errors import InputError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")


class MissingSplit(InputError):
    """The folder with the images of a split does not exist: perhaps the user keeps only other splits."""


def find_files(folder: Path, endings: str | tuple[str, ...]) -> dict[str, Path]:
    """Files anywhere below ``folder`` whose names end in one of ``endings``, in either case, sorted by key.

    A key is the path below ``folder`` without that ending, so the key of an image is the key of its labels.
    InputError: no such folder, no such file in it, or two files with one key.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the data set's root folder in its official layout")
    endings = (endings,) if isinstance(endings, str) else endings
    found: dict[str, Path] = {}
    for path in walk(folder):
        ending = next((ending for ending in endings if path.lower().endswith(ending.lower())), None)
        if ending is None:
            continue
        key = os.path.relpath(path, folder)[: -len(ending)].replace(os.sep, "/")
        if key in found:
            raise InputError(f"{path}: has the same name as {found[key].name} next to it; remove one of them")
        found[key] = Path(path)
    if not found:
        raise InputError(f"{folder}: holds no file named *{' or *'.join(endings)}; is this the right folder?")
    return dict(sorted(found.items()))


def find_images(folder: Path, endings: str | tuple[str, ...] = IMAGE_ENDINGS) -> dict[str, Path]:
    """``find_files`` for the images of a split: raises MissingSplit where the folder does not exist."""
    if not folder.is_dir():
        raise MissingSplit(
            f"{folder}: no such folder; give the data set's root folder in its official layout"
        )
    return find_files(folder, endings)


def walk(folder: Path, without: Sequence[Path] = ()) -> Iterator[str]:
    """All files below a folder, behind links too, but for hidden ones and those below other folders, ``without``."""
    left_out = {os.path.realpath(other) for other in without}
    # A link to a folder that it lies in leads round and round: what is above a folder is not gone into again.
    above = {os.fspath(folder): {os.path.realpath(folder)}}
    for directory, folders, names in os.walk(folder, followlinks=True):
        seen = above.pop(directory)
        for name in folders[:]:
            path = os.path.join(directory, name)
            real = os.path.realpath(path)
            if name.startswith(".") or real in seen or real in left_out:
                folders.remove(name)
            else:
                above[path] = seen | {real}
        # The "._name" files of macOS archives are no images.
        yield from (os.path.join(directory, name) for name in names if not name.startswith("."))


def read_image(path: Path) -> np.ndarray:
    """Colour image [H, W, 3] uint8 RGB, whatever the file holds; never turned by a tag."""
    image = _decode(_read_bytes(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """A grey picture [H, W, 1], or one with transparency [H, W, 2 or 4], as [H, W, 3]; any other as it is."""
    channels = image.shape[2]
    if channels in (1, 2):
        return np.repeat(image[..., :1], 3, axis=2)
    return image[..., :3] if channels == 4 else image


def read_channels(path: Path) -> np.ndarray:
    """Image [H, W, C] as stored, uint8 or uint16, any number of channels; RGB(A) order for three or four."""
    if path.suffix.lower() == ".npy":
        image = _load_array(path)
    elif path.suffix.lower() in (".tif", ".tiff") and _count_tiff_channels(path) > 4:
        image = _load_multispectral_tiff(path)
    else:
        image = _decode(_read_bytes(path), cv2.IMREAD_UNCHANGED, path)
        if image.ndim == 3 and image.shape[2] in (3, 4):
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: holds {image.dtype} values; store images as 8 or 16 bit unsigned integers")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3:
        raise InputError(f"{path}: has shape {image.shape}; store images as [height, width, channels]")
    return image


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of an image, from its header alone."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path) from error


def read_map(path: Path) -> np.ndarray:
    """One number per pixel, [H, W] as stored: label ids (indices, also of palette PNGs), disparity, depth."""
    data = _read_bytes(path)
    is_plain_png = data.startswith(b"\x89PNG") and data[24:26] in (b"\x08\x00", b"\x10\x00")
    if is_plain_png:  # 8 or 16 bit grey, which OpenCV decodes in half the time
        values = _decode(data, cv2.IMREAD_UNCHANGED, path)
    else:  # only PIL gives a palette's indices and leaves one bit unscaled
        try:
            with Image.open(BytesIO(data)) as picture:
                values = np.asarray(picture)
        except (OSError, SyntaxError, ValueError) as error:  # PIL raises each of them for damaged files
            raise _damaged(path) from error
    if values.ndim != 2:
        raise InputError(
            f"{path}: has {values.shape[2]} channels; a label or depth map holds one number per pixel"
        )
    return values


def read_labels(path: Path, index_of_id: np.ndarray) -> np.ndarray:
    """Label map [H, W] uint8, each id replaced by ``index_of_id[id]`` (see ``label_table``).

    InputError: damaged file, several channels, or an id outside the table.
    """
    return map_labels(read_map(path), index_of_id, path)


UNKNOWN = 254
"""Marks ids without a class in a table of ``label_table``; there are at most 254 classes, 0 to 253."""


def label_table(index_of_id: dict[int, int]) -> np.ndarray:
    """[256] uint8 lookup table from ids in a file to class indices or 255; ids not named are UNKNOWN."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[list(index_of_id)] = list(index_of_id.values())
    return table


def map_labels(ids: np.ndarray, index_of_id: np.ndarray, path: Path) -> np.ndarray:
    """Ids [H, W] through the lookup table; InputError, naming ``path``, for an id that it does not know."""
    if ids.dtype != np.uint8:
        if ids.min() < 0 or ids.max() > 255:
            raise _unknown_id(path, int(ids.max() if ids.max() > 255 else ids.min()))
        ids = ids.astype(np.uint8)
    labels = cv2.LUT(ids, index_of_id)
    if (labels == UNKNOWN).any():
        raise _unknown_id(path, int(ids[labels == UNKNOWN][0]))
    return labels


def _unknown_id(path: Path, label: int) -> InputError:
    return InputError(
        f"{path}: label id {label} is none of the data set's; fix the file or the list of classes"
    )


def _read_bytes(path: Path) -> bytes:
    """The whole file. Formats that say where they end must end: some decoders fill up what is cut off."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check that it exists and its rights"
        ) from error
    is_cut_png = data.startswith(b"\x89PNG") and b"IEND" not in data[-64:]
    # Inside compressed JPEG data, FF D9 cannot occur; a thumbnail's lies before the picture's scan, FF DA.
    is_cut_jpeg = data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    if not data or is_cut_png or is_cut_jpeg:
        raise _damaged(path)
    return data


def _decode(data: bytes, flags: int, path: Path) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _damaged(path) from error
    if image is None:
        raise _damaged(path)
    return image


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: is truncated, damaged or no image; replace it with an intact copy")


def _load_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header is parsed as Python, so that anything may happen
        raise _damaged(path) from error


def _count_tiff_channels(path: Path) -> int:
    """SamplesPerPixel of the first page: OpenCV reads up to four channels."""
    data = BytesIO(_read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the decoder finds out what a warning here is about
            tags = ImageFileDirectory_v2(data.read(8))
            data.seek(tags.next)
            tags.load(data)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise _damaged(path) from error
    return int(tags.get(277, 1))


def _load_multispectral_tiff(path: Path) -> np.ndarray:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f"{path}: has more than four channels; run 'pip install tifffile' or store it as .npy"
        ) from error
    try:
        return tifffile.imread(path)
    except (OSError, ValueError, struct.error) as error:
        raise _damaged(path) from error


def read_exr(path: Path) -> np.ndarray:
    """The one channel of an OpenEXR file, or its first colour, [H, W] float32; 0 where it is not finite."""
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"{path}: reading it needs another package; run 'pip install OpenEXR'") from error
    try:
        channels = OpenEXR.File(os.fspath(path), separate_channels=True).channels()
        name = next(name for name in ("Z", "Y", "R", *channels) if name in channels)
        values = channels[name].pixels.astype(np.float32)
    except (OSError, RuntimeError, ValueError, StopIteration) as error:
        raise _damaged(path) from error
    return np.where(np.isfinite(values), values, np.float32(0))
