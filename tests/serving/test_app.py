"""The server over its sockets: what it gives, and what it refuses."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from tests.serving.asking import INFER, Gate, encoded, outputs_of, post, wait_for
from tests.serving.conftest import colour_model, pictures, running, served, truth

from tessella.membership_inference.defences import Gaussian
from tessella.serving.guard import Settings
from tessella.serving.pictures import Limits
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, write_request


def test_what_the_protocol_asks_for(access):
    with running(access, served(posteriors=True)) as url:
        for path in (
            "/v2/health/live",
            "/v2/health/ready",
            "/v2/models/colours/ready",
            "/v2/models/colours/versions/1/ready",
        ):
            assert httpx.get(url + path).status_code == 200
        assert httpx.get(url + "/v2").json()["extensions"] == ["binary_tensor_data"]
        assert httpx.post(url + "/v2/repository/index").json()[0]["name"] == "colours"
        about = httpx.get(url + "/v2/models/colours").json()
        assert [(each["name"], each["datatype"], each["shape"]) for each in about["inputs"]] == [
            ("image", "UINT8", [-1, 3, -1, -1]),
            ("image_float", "FP32", [-1, 3, -1, -1]),
            ("encoded", "BYTES", [-1]),
        ]
        assert [(each["name"], each["datatype"]) for each in about["outputs"]] == [
            ("labels", "UINT8"),
            ("posteriors", "FP32"),
        ]
        assert about["parameters"]["classes"] == ["dark", "red", "green", "blue"]


@pytest.mark.parametrize("binary", [False, True])
def test_every_form_of_picture_gives_the_same(access, binary):
    images = pictures(2)
    floats = images.astype(np.float32) / 255
    files = np.array([encoded(image, "PNG") for image in images], object)
    if not binary:
        files = np.array([base64.b64encode(file) for file in files], object)
    with running(access) as url:
        for name, data in (("image", images), ("image_float", floats), ("encoded", files)):
            found = outputs_of(post(url, NamedTensor(name, data), binary=binary))["labels"]
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, truth(images))


def test_jpeg_grey_and_palette_files(access):
    flat = np.full((3, 16, 16), 200, np.uint8)
    grey = io.BytesIO()
    Image.fromarray(flat[0]).save(grey, "JPEG")
    indexed = io.BytesIO()
    Image.fromarray(flat.transpose(1, 2, 0)).quantize(4).save(indexed, "PNG")
    with running(access) as url:
        for file in (encoded(flat, "JPEG"), grey.getvalue(), indexed.getvalue()):
            found = outputs_of(post(url, NamedTensor("encoded", np.array([file], object))))["labels"]
            np.testing.assert_array_equal(found, truth(flat[None]))


def test_posteriors_only_where_they_are_allowed(access):
    images = pictures(1)
    with running(access) as url:
        refused = post(url, NamedTensor("image", images), ["posteriors"])
        assert (refused.status_code, refused.json()["error"]) == (
            400,
            "output 'posteriors': this server gives labels",
        )
    with running(access, served(posteriors=True)) as url:
        found = outputs_of(post(url, NamedTensor("image", images), ["posteriors", "labels"]))
        np.testing.assert_allclose(found["posteriors"], colour_model(torch.from_numpy(images)), atol=1e-6)
        np.testing.assert_array_equal(found["labels"], truth(images))
        body, length = write_request([NamedTensor("image", images)], [], True)
        silent = httpx.post(url + INFER, content=body, headers={HEADER_LENGTH: str(length)})
        assert list(outputs_of(silent)) == ["labels"]


def test_noise_cannot_be_averaged_away(access):
    noisy = served(Gaussian(colour_model, 0.5, access.secret()), posteriors=True)
    tensor = NamedTensor("image", pictures(2))
    with running(access, noisy) as url:
        answers = [outputs_of(post(url, tensor, ["posteriors"]))["posteriors"] for _ in range(3)]
        alone = outputs_of(post(url, NamedTensor("image", pictures(2)[1:]), ["posteriors"]))["posteriors"]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    np.testing.assert_array_equal(alone[0], answers[0][1])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (NamedTensor("picture", pictures()), "give one of image, image_float, encoded"),
        (NamedTensor("image", pictures().astype(np.float32)), "image is FP32; UINT8 is needed"),
        (NamedTensor("image", pictures()[0]), r"[3, 12, 16]; [batch, 3, height, width]"),
        (NamedTensor("image", pictures()[:, :2]), "[1, 2, 12, 16]"),
        (NamedTensor("image", np.zeros((0, 3, 4, 4), np.uint8)), "0 pictures"),
        (NamedTensor("image", np.zeros((1, 3, 0, 4), np.uint8)), "4x0 pixels"),
        (NamedTensor("image", pictures(5)), "5 pictures; 1 to 4"),
        (NamedTensor("image", pictures(1, 60, 60)), "60x60 pixels; 1 to 2000"),
        (NamedTensor("image_float", np.full((1, 3, 2, 2), np.nan, np.float32)), "values from 0 to 1"),
        (NamedTensor("image_float", np.full((1, 3, 2, 2), 255, np.float32)), "values from 0 to 1"),
        (NamedTensor("encoded", np.array([b"no picture"], object)), "neither PNG, nor JPEG"),
        (NamedTensor("encoded", np.array([b"\x89PNG\r\n\x1a\n"], object)), "PNG or JPEG is needed"),
        (
            NamedTensor("encoded", np.array([encoded(pictures()[0], "PNG")[:-60]], object)),
            "the file is damaged",
        ),
        (
            NamedTensor(
                "encoded",
                np.array([encoded(each, "PNG") for each in (pictures()[0], pictures(1, 4, 4)[0])], object),
            ),
            "must have one size",
        ),
        (NamedTensor("encoded", np.array([[b""]], object)), "encoded is [1, 1]"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(access, tensor, message):
    with running(access, settings=Settings(limits=Limits(4, 2000))) as url:
        response = post(url, tensor)
        assert response.status_code == 400
        assert message in response.json()["error"]


def test_a_bomb_is_not_unpacked(access):
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    with running(access) as url:
        for response in (
            post(url, NamedTensor("encoded", np.array([bomb.getvalue()], object))),
            httpx.post(url + "/picture", content=bomb.getvalue()),
        ):
            assert response.status_code == 400
            assert "more than 4000000 pixels" in response.json()["error"]


def test_a_jpeg_of_many_scans_is_refused(access):
    picture = encoded(pictures(1, 16, 16)[0], "JPEG", progressive=True)
    place = picture.rindex(b"\xff\xda")
    many = picture[:place] + picture[place:-2] * 200 + picture[-2:]
    with running(access) as url:
        assert post(url, NamedTensor("encoded", np.array([picture], object))).status_code == 200
        refused = post(url, NamedTensor("encoded", np.array([many], object)))
        assert "more than 100 scans" in refused.json()["error"]


def test_sixteen_bits_are_refused(access):
    file = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 200).save(file, "PNG")
    with running(access) as url:
        refused = post(url, NamedTensor("encoded", np.array([file.getvalue()], object)))
        assert "8 bits a channel" in refused.json()["error"]


def test_a_picture_that_spoils_a_batch_spoils_itself_alone(access):
    gate = Gate()

    def fails(images):
        answer = gate(images)
        return answer.where((images[:, :1] != 77).float().mean((2, 3), keepdim=True) > 0, torch.nan)

    bad = np.full((1, 3, 12, 16), 77, np.uint8)
    with running(access, served(fails)) as url, ThreadPoolExecutor(5) as pool:
        sent = [pictures(1, seed=seed) for seed in range(4)]
        waiting = [pool.submit(post, url, NamedTensor("image", each)) for each in (sent[0], bad, *sent[1:])]
        wait_for(url, 5)
        gate.free.set()
        codes = [each.result().status_code for each in waiting]
    assert codes == [200, 500, 200, 200, 200]


def test_what_comes_through_a_proxy_sees_nothing_undefended(access):
    half = lambda images: colour_model(images.flip(1))  # noqa: E731
    content = encoded(pictures(1)[0], "PNG")
    with running(access, served(half, undefended=colour_model)) as url:
        for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            answer = httpx.post(url + "/picture", content=content, headers={name: "192.0.2.1"}).json()
            assert "before" not in answer
            assert "changes" not in answer


def test_a_model_that_fails_does_not_end_the_server(access):
    def fails(images):
        if images.shape[2] == 5:
            raise RuntimeError("secrets of the model")
        return colour_model(images)

    with running(access, served(fails)) as url:
        response = post(url, NamedTensor("image", pictures(1, 5)))
        assert response.status_code == 500
        assert "secret" not in response.text
        np.testing.assert_array_equal(
            outputs_of(post(url, NamedTensor("image", pictures())))["labels"], truth(pictures())
        )


def test_the_comparison_costs_one(access):
    key = access.add("alice", 1)
    what = served(colour_model, undefended=colour_model)
    with running(access, what, Settings(keys=True)) as url:
        content = encoded(pictures(1)[0], "PNG")
        answer = httpx.post(url + "/picture", content=content, headers={"X-API-Key": key})
    assert answer.json()["changed"] == 0
    assert access.all_keys()[0].used == 1


def test_the_page_is_told_what_the_defence_changed(access):
    image = pictures(1, 20, 30)
    half = lambda images: colour_model(images.flip(1))  # noqa: E731
    with running(access, served(half, undefended=colour_model)) as url:
        answer = httpx.post(url + "/picture", content=encoded(image[0], "PNG")).json()
    changed = truth(image) != truth(image[:, ::-1].copy())
    assert answer["changed"] == pytest.approx(changed.mean(), abs=1e-4)
    assert {each["name"] for each in answer["classes"]} <= {"dark", "red", "green", "blue"}
    assert sum(each["share"] for each in answer["classes"]) == pytest.approx(1, abs=1e-3)
    for name in ("segmentation", "before", "changes"):
        content = base64.b64decode(answer[name].partition(",")[2])
        assert Image.open(io.BytesIO(content)).size == (30, 20)
    with running(access) as url:
        assert "before" not in httpx.post(url + "/picture", content=encoded(image[0], "PNG")).json()


def test_json_of_the_answer_is_the_protocols(access):
    with running(access) as url:
        response = post(url, NamedTensor("image", pictures()), binary=False)
        answer = json.loads(response.content)
    assert (answer["model_name"], answer["model_version"]) == ("colours", "1")
    assert answer["outputs"][0]["shape"] == [1, 12, 16]
    assert len(answer["outputs"][0]["data"]) == 12 * 16
