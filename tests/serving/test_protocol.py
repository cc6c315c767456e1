"""Bodies of the protocol, whole and broken."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessella.serving.protocol import (
    TYPES,
    Malformed,
    NamedTensor,
    read_request,
    read_response,
    write_request,
    write_response,
)


def tensor(name="image", shape=(2, 3), datatype="UINT8", **more):
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def read(head, tail=b""):
    text = json.dumps(head).encode()
    return read_request(text + tail, len(text) if tail else None)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("datatype", [name for name in TYPES if name != "BYTES"])
def test_every_number_comes_back(datatype, binary):
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(TYPES[datatype])
    body, length = write_request([NamedTensor("x", values), NamedTensor("y", values[0])], ["z"], binary)
    assert (length is None) is not binary
    request = read_request(body, length)
    for got, sent in zip(request.inputs, (values, values[0]), strict=True):
        assert got.data.dtype == sent.dtype
        np.testing.assert_array_equal(got.data, sent)
    assert [(each.name, each.binary) for each in request.wanted] == [("z", binary)]


def test_bytes_come_back():
    files = np.array([b"", b"\x89PNG\x00\xff", b"x" * 300], object)
    body, length = write_request([NamedTensor("encoded", files)], [], True)
    request = read_request(body, length)
    assert list(request.inputs[0].data) == list(files)
    assert request.wanted is None
    assert request.binary


def test_an_answer_comes_back_mixed():
    one, other = np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([0.5, np.inf], np.float32)
    outputs = [(NamedTensor("one", one), True), (NamedTensor("other", other), False)]
    body, length = write_response("model", "1", "mine", outputs)
    head = json.loads(body[:length])
    assert (head["model_name"], head["model_version"], head["id"]) == ("model", "1", "mine")
    found = read_response(body, length)
    np.testing.assert_array_equal(found["one"], one)
    np.testing.assert_array_equal(found["other"], other)


def test_lists_may_be_flat_or_nested():
    for data in ([1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]):
        assert read({"inputs": [tensor(data=data)]}).inputs[0].data.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("head", "tail", "message"),
    [
        ([], b"", "an object is needed"),
        ({}, b"", "tensors: a list is needed"),
        ({"inputs": []}, b"", "at least one"),
        ({"inputs": [7]}, b"", "a tensor: an object is needed"),
        ({"inputs": [{}]}, b"", "name of a tensor: a text"),
        ({"inputs": [tensor(datatype="INT4", data=[])]}, b"", "choose BOOL"),
        ({"inputs": [tensor(shape=[-1], data=[])]}, b"", "whole numbers of 0 or more"),
        ({"inputs": [tensor(shape=[2, 1.5], data=[])]}, b"", "whole numbers of 0 or more"),
        ({"inputs": [tensor(shape=[True], data=[1])]}, b"", "whole numbers of 0 or more"),
        ({"inputs": [tensor(shape=[1] * 9, data=[1])]}, b"", "9 axes"),
        ({"inputs": [tensor(shape=[10**9, 10**9], data=[])]}, b"", "at most [0-9]+ values"),
        ({"inputs": [tensor(shape=[10**18, 10**18, 0], data=[])]}, b"", "at most [0-9]+ values"),
        ({"inputs": [tensor(data=[1, 2])]}, b"", r"\[2, 3\] was said"),
        ({"inputs": [tensor(data=[[1, 2], [3, 4], [5, 6]])]}, b"", r"\[2, 3\] was said"),
        ({"inputs": [tensor(data=[[1], [2, 3], 4])]}, b"", "different lengths"),
        ({"inputs": [tensor(data=["a"] * 6)]}, b"", "no UINT8"),
        ({"inputs": [tensor(data=[256, 0, 0, 0, 0, 0])]}, b"", "no UINT8"),
        ({"inputs": [tensor(data=[-1, 0, 0, 0, 0, 0])]}, b"", "no UINT8"),
        ({"inputs": [tensor(data=[0.5, 0, 0, 0, 0, 0])]}, b"", "no UINT8"),
        ({"inputs": [tensor(data=[10**40, 0, 0, 0, 0, 0])]}, b"", "no UINT8"),
        ({"inputs": [tensor(data=[1] * 6), tensor(data=[1] * 6)]}, b"", "given twice"),
        ({"inputs": [tensor(shape=[1], datatype="BYTES", data=[1])]}, b"", "1 texts"),
        ({"inputs": [tensor(parameters={"binary_data_size": 7})]}, b"123456", "6 are left"),
        ({"inputs": [tensor(parameters={"binary_data_size": 5})]}, b"12345", "needs 6"),
        ({"inputs": [tensor(parameters={"binary_data_size": 6})]}, b"1234567", "1 bytes stand behind"),
        ({"inputs": [tensor(parameters={"binary_data_size": "6"})]}, b"123456", "whole numbers"),
        (
            {"inputs": [tensor(shape=[1], datatype="BYTES", parameters={"binary_data_size": 5})]},
            b"\x09\0\0\0a",
            "ends behind",
        ),
        (
            {"inputs": [tensor(shape=[1], datatype="BYTES", parameters={"binary_data_size": 6})]},
            b"\x01\0\0\0ab",
            "last value",
        ),
        (
            {"inputs": [tensor(shape=[9], datatype="BYTES", parameters={"binary_data_size": 4})]},
            b"\0\0\0\0",
            "do not fit",
        ),
        ({"inputs": [tensor(data=[1] * 6)], "outputs": [{}]}, b"", "name of an output"),
        ({"inputs": [tensor(data=[1] * 6)], "outputs": "labels"}, b"", "outputs: a list"),
        ({"inputs": [tensor(data=[1] * 6)], "parameters": {"binary_data_output": 1}}, b"", "true or false"),
        ({"inputs": [tensor(data=[1] * 6)], "id": 5}, b"", "id: a text"),
    ],
)
def test_what_is_wrong_is_said(head, tail, message):
    with pytest.raises(Malformed, match=message):
        read(head, tail)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"inputs": NaN}'])
def test_no_json(body):
    with pytest.raises(Malformed):
        read_request(body, None)


def test_a_length_beyond_the_body():
    with pytest.raises(Malformed, match="the body has 2 bytes"):
        read_request(b"{}", 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda some: st.lists(some) | st.dictionaries(st.text(), some),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {"name": st.text(max_size=3) | JSON, "shape": st.lists(st.integers(-2, 5), max_size=4) | JSON},
    optional={
        "datatype": st.sampled_from([*TYPES]) | JSON,
        "data": st.lists(st.integers(-3, 300) | st.floats() | st.text(max_size=2)) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 40) | JSON})
        | JSON,
    },
)
HEADS = st.fixed_dictionaries(
    {"inputs": st.lists(NEARLY, max_size=3) | JSON},
    optional={"outputs": JSON, "parameters": JSON, "id": JSON},
)


@settings(max_examples=300, deadline=None)
@given(HEADS, st.binary(max_size=60))
def test_nearly_right_bodies_are_read_or_refused(head, tail):
    with suppress(Malformed):
        assert all(isinstance(each.data, np.ndarray) for each in read(head, tail).inputs)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.none() | st.integers(-5, 250))
def test_any_bytes_are_refused(body, length):
    with pytest.raises(Malformed):
        read_request(body, length)
