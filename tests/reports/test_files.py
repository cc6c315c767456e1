"""Results that are not what a page needs."""

import json

import numpy as np
import pytest

from tessella.errors import InputError
from tessella.files import read_object
from tessella.reports.audit import write_audit
from tessella.reports.features import write_samples
from tessella.reports.files import read_arrays
from tessella.reports.game import write_game
from tessella.reports.images import write_image_samples

PAGES = [
    (write_audit, "audit.json", "run the audit again"),
    (write_game, "game_result.json", "play the game again"),
    (write_image_samples, "scores.json", "sample again"),
    (write_samples, "scores.json", "sample again"),
]


@pytest.mark.parametrize(("write", "name", "otherwise"), PAGES)
def test_a_page_of_no_result(write, name, otherwise, tmp_path):
    np.savez(tmp_path / "histograms.npz", **dict.fromkeys(("counts", "low", "high", "channels"), np.ones(1)))
    of_another_shape = {key: [] for key in ("attacks", "checkpoints", "errors", "means", "classes")}
    for content, wrong in (
        (None, "cannot be read (No such file or directory)"),
        ("", "is not valid JSON"),
        ("[]", "must hold a JSON object, not a list"),
        ("{}", "is damaged"),
        (json.dumps(of_another_shape), "is damaged"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(InputError) as raised:
            write(tmp_path)
        message = str(raised.value)
        assert message.startswith(str(tmp_path / name))
        assert wrong in message
        assert message.endswith(otherwise)
        assert "\n" not in message


def test_what_is_whole_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"ä": [1]}', encoding="utf-8")
    assert read_object(tmp_path / "a.json") == {"ä": [1]}
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    two, one = read_arrays(tmp_path / "a.npz", "two", "one", otherwise="")
    assert np.array_equal(two, np.eye(2))
    assert np.array_equal(one, np.arange(3))


def test_what_is_no_archive_or_lacks_an_array(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", one=np.random.default_rng(0).random(500))
    with pytest.raises(InputError, match=r"a\.npz cannot be read .*two.*; do it again"):
        read_arrays(tmp_path / "a.npz", "one", "two", otherwise="do it again")
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[400:440] = bytes(40)
    (tmp_path / "a.npz").write_bytes(content)
    np.save(tmp_path / "b.npy", np.ones(3))
    for name in ("a.npz", "b.npy", "gone.npz"):
        with pytest.raises(InputError, match=rf"{name} cannot be read .*; do it again"):
            read_arrays(tmp_path / name, "one", otherwise="do it again")
