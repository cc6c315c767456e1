"""The Open Inference Protocol, version 2, over HTTP: requests and answers as bytes, with its binary tensors.

A body is JSON; tensors may stand behind it as bytes, in the order in which the JSON names them, and the header
``Inference-Header-Content-Length`` then says where the JSON ends. Nothing here knows sockets.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

HEADER_LENGTH = "Inference-Header-Content-Length"

TYPES = {
    "BOOL": np.dtype(bool),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
NAMES = {kind: name for name, kind in TYPES.items()}

MOST_AXES = 8

Kind = TypeVar("Kind")


class Malformed(ValueError):
    """A body that is not what the protocol asks for; the message says what is wrong with it."""


@dataclass(frozen=True)
class NamedTensor:
    """A tensor of the protocol; of BYTES ``data`` is an array of ``bytes``."""

    name: str
    data: np.ndarray

    @property
    def datatype(self) -> str:
        return NAMES[self.data.dtype]


@dataclass(frozen=True)
class Wanted:
    """An output that was asked for, and whether as bytes."""

    name: str
    binary: bool


@dataclass(frozen=True)
class Request:
    """wanted: None where the request names no outputs: all, as bytes where ``binary``."""

    inputs: tuple[NamedTensor, ...]
    wanted: tuple[Wanted, ...] | None = None
    id: str = ""
    binary: bool = False


def read_request(body: bytes, header_length: int | None) -> Request:
    """The request of a body. header_length: of the JSON, where tensors stand behind it. Raises Malformed."""
    head, rest = _split(body, header_length)
    inputs, rest = _tensors(head.get("inputs"), rest, len(body))
    if rest:
        raise Malformed(f"{len(rest)} bytes stand behind the last tensor")
    if not inputs:
        raise Malformed("inputs: give at least one")
    parameters = _parameters(head, "the request")
    binary = _flag(parameters.get("binary_data_output", False), "binary_data_output")
    return Request(inputs, _wanted(head.get("outputs"), binary), _text(head.get("id", ""), "id"), binary)


def write_request(
    inputs: Iterable[NamedTensor], outputs: Sequence[str], binary: bool
) -> tuple[bytes, int | None]:
    """Body, and the length of its JSON where tensors follow; ``outputs`` are asked for in the same way."""
    described, tail = _describe([(tensor, binary) for tensor in inputs])
    wanted = [{"name": name, "parameters": {"binary_data": binary}} for name in outputs]
    head: dict[str, Any] = {"inputs": described, "outputs": wanted} if wanted else {"inputs": described}
    if binary and not wanted:
        head["parameters"] = {"binary_data_output": True}
    return _join(head, tail, binary)


def read_response(body: bytes, header_length: int | None) -> dict[str, np.ndarray]:
    """Outputs by name. Raises Malformed."""
    head, rest = _split(body, header_length)
    outputs, _ = _tensors(head.get("outputs"), rest, len(body))
    return {tensor.name: tensor.data for tensor in outputs}


def write_response(
    model: str, version: str, id_: str, outputs: Sequence[tuple[NamedTensor, bool]]
) -> tuple[bytes, int | None]:
    """Body, and the length of its JSON where tensors follow. outputs: each with whether it is to be bytes."""
    described, tail = _describe(outputs)
    head = {"model_name": model, "model_version": version, "outputs": described}
    return _join({**head, "id": id_} if id_ else head, tail, any(binary for _, binary in outputs))


def _join(head: dict[str, Any], tail: list[bytes], binary: bool) -> tuple[bytes, int | None]:
    text = json.dumps(head).encode()
    return b"".join([text, *tail]), len(text) if binary else None


def _describe(tensors: Iterable[tuple[NamedTensor, bool]]) -> tuple[list[dict[str, Any]], list[bytes]]:
    described, tail = [], []
    for tensor, binary in tensors:
        about: dict[str, Any] = {
            "name": tensor.name,
            "shape": list(tensor.data.shape),
            "datatype": tensor.datatype,
        }
        if binary:
            content = _to_bytes(tensor.data)
            about["parameters"] = {"binary_data_size": len(content)}
            tail.append(content)
        elif tensor.datatype == "BYTES":
            about["data"] = [value.decode() for value in tensor.data.ravel()]
        else:
            about["data"] = tensor.data.ravel().tolist()
        described.append(about)
    return described, tail


def _to_bytes(data: np.ndarray) -> bytes:
    if data.dtype != object:
        return np.ascontiguousarray(data).tobytes()
    return b"".join(len(value).to_bytes(4, "little") + value for value in data.ravel())


def _split(body: bytes, header_length: int | None) -> tuple[dict[str, Any], bytes]:
    length = len(body) if header_length is None else header_length
    if not 0 <= length <= len(body):
        raise Malformed(f"{HEADER_LENGTH} is {length}, the body has {len(body)} bytes")
    try:
        head = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from error
    return _mapping(head, "the request"), body[length:]


def _tensors(described: Any, rest: bytes, most_values: int) -> tuple[tuple[NamedTensor, ...], bytes]:
    """The tensors, and what stands behind them. most_values: of one; a body holds no more than it has bytes."""
    tensors: list[NamedTensor] = []
    for about in _listing(described, "tensors"):
        about = _mapping(about, "a tensor")
        name = _text(about.get("name"), "name of a tensor")
        if any(tensor.name == name for tensor in tensors):
            raise Malformed(f"{name!r} is given twice")
        kind = TYPES.get(_text(about.get("datatype"), f"datatype of {name!r}"))
        if kind is None:
            raise Malformed(f"datatype of {name!r}: {about['datatype']!r}; choose {', '.join(TYPES)}")
        shape = _shape(about.get("shape"), name, most_values)
        parameters = _parameters(about, repr(name))
        if "binary_data_size" in parameters:
            size = _number(parameters["binary_data_size"], f"binary_data_size of {name!r}")
            if size > len(rest):
                raise Malformed(f"{name!r} has {size} bytes, {len(rest)} are left of the body")
            data, rest = _from_bytes(rest[:size], kind, shape, name), rest[size:]
        else:
            data = _from_list(about.get("data"), kind, shape, name)
        tensors.append(NamedTensor(name, data))
    return tuple(tensors), rest


def _shape(shape: Any, name: str, most_values: int) -> tuple[int, ...]:
    axes = tuple(_number(axis, f"shape of {name!r}") for axis in _listing(shape, f"shape of {name!r}"))
    if len(axes) > MOST_AXES:
        raise Malformed(f"{name!r} has {len(axes)} axes; at most {MOST_AXES} are allowed")
    if max(axes, default=0) > most_values or math.prod(axes) > most_values:
        raise Malformed(f"{name!r} is {list(axes)}; at most {most_values} values are allowed")
    return axes


def _from_bytes(content: bytes, kind: np.dtype, shape: tuple[int, ...], name: str) -> np.ndarray:
    count = math.prod(shape)
    if kind.hasobject:
        if 4 * count > len(content):
            raise Malformed(f"{name!r}: {count} values do not fit into {len(content)} bytes")
        values, place = np.empty(count, object), 0
        for number in range(count):
            size = int.from_bytes(content[place : place + 4], "little")
            place += 4 + size
            if place > len(content):
                raise Malformed(f"{name!r}: value {number} of {count} ends behind its bytes")
            values[number] = content[place - size : place]
        if place != len(content):
            raise Malformed(f"{name!r}: {len(content) - place} bytes stand behind its last value")
        return values.reshape(shape)
    if len(content) != count * kind.itemsize:
        raise Malformed(f"{name!r} has {len(content)} bytes; {list(shape)} needs {count * kind.itemsize}")
    return np.frombuffer(content, kind).reshape(shape)


def _from_list(data: Any, kind: np.dtype, shape: tuple[int, ...], name: str) -> np.ndarray:
    count = math.prod(shape)
    if kind.hasobject:
        texts = _listing(data, f"data of {name!r}")
        if len(texts) != count or not all(isinstance(text, str) for text in texts):
            raise Malformed(f"data of {name!r}: give {count} texts")
        return np.fromiter((text.encode("utf-8", "surrogatepass") for text in texts), object, count).reshape(
            shape
        )
    try:
        values = np.array(_listing(data, f"data of {name!r}"))
    except (ValueError, OverflowError) as error:
        raise Malformed(f"data of {name!r}: its lists are of different lengths") from error
    if values.size != count or (values.ndim > 1 and values.shape != shape):
        raise Malformed(f"data of {name!r} has shape {list(values.shape)}; {list(shape)} was said")
    if count and values.dtype.kind not in ("b" if kind.kind == "b" else "biuf"):
        raise Malformed(f"data of {name!r}: holds what is no {NAMES[kind]}")
    with np.errstate(all="ignore"):
        converted = values.reshape(shape).astype(kind)
    if kind.kind in "iu" and not (values.reshape(shape) == converted).all():
        raise Malformed(f"data of {name!r}: holds what is no {NAMES[kind]}")
    return converted


def _wanted(outputs: Any, binary: bool) -> tuple[Wanted, ...] | None:
    if outputs is None:
        return None
    found: list[Wanted] = []
    for about in _listing(outputs, "outputs"):
        about = _mapping(about, "an output")
        parameters = _parameters(about, "an output")
        flag = _flag(parameters.get("binary_data", binary), "binary_data")
        name = _text(about.get("name"), "name of an output")
        if any(wanted.name == name for wanted in found):
            raise Malformed(f"output {name[:80]!r} is given twice")
        found.append(Wanted(name, flag))
    return tuple(found) or None


def _parameters(about: dict[str, Any], name: str) -> dict[str, Any]:
    found = about.get("parameters")
    return {} if found is None else _mapping(found, f"parameters of {name}")  # KServe writes null for none


def _mapping(value: Any, name: str) -> dict[str, Any]:
    return _of_kind(dict, value, f"{name}: an object is needed")


def _listing(value: Any, name: str) -> list[Any]:
    return _of_kind(list, value, f"{name}: a list is needed")


def _text(value: Any, name: str) -> str:
    return _of_kind(str, value, f"{name}: a text is needed")


def _flag(value: Any, name: str) -> bool:
    return _of_kind(bool, value, f"{name}: give true or false")


def _of_kind(kind: type[Kind], value: Any, otherwise: str) -> Kind:
    if not isinstance(value, kind):
        raise Malformed(otherwise)
    return value


def _number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Malformed(f"{name}: whole numbers of 0 or more are needed")
    return value
