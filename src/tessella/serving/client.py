"""A server of the Open Inference Protocol as a black box: ours, or anyone's."""

import json
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tessella.errors import InputError
from tessella.membership_inference.black_box import what_is_wrong
from tessella.networks.label_maps import posteriors_of_labels
from tessella.networks.normalized import IMAGENET_MEAN, IMAGENET_STD
from tessella.serving.protocol import (
    HEADER_LENGTH,
    NamedTensor,
    read_response,
    write_request,
)

Gives = Literal["posteriors", "logits", "labels"]

MOST_BYTES = 1 << 30
RETRIES = 5
TIMEOUT = 120.0
LONGEST_WAIT = 30.0

WITHOUT_BINARY = (400, 415, 422, 500)
"""What servers that know no binary tensors say to them; mlserver 1.7 fails."""

MEANINGS: dict[str, Gives] = {
    "logit": "logits",
    "posterior": "posteriors",
    "prob": "posteriors",
    "label": "labels",
}
"""What an output holds, by what its name has in it."""


@dataclass(frozen=True)
class Contract:
    """How a server is asked. input, datatype: the tensor that takes pictures. output, gives: the tensor that answers,
    and what it holds. classes, palette: names and colours, empty where the server does not say.
    """

    input: str
    datatype: str
    output: str
    gives: Gives
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()


class RemoteModel:
    """A black box behind a URL: pictures [B, C, H, W], uint8 or floats in 0 to 1, to posteriors [B, K, H, W].

    url: ``http://host:port``, where the server has one model, or with ``/v2/models/NAME``. Tensors are sent as bytes
    where the server takes them, else as JSON. Tried again is what cannot have been answered: a connection that was
    refused, and what the server is too busy for. Of a server that gives label maps alone, the posteriors are 0 and 1.

    key: sent as ``Authorization: Bearer KEY``. input, output: names of tensors; what the metadata says where empty.
    gives: what the output holds; found out by its name where None. normalised: send floats less ImageNet's mean, by its
    deviation.

    Raises InputError where no such server answers, or its metadata leaves open what to send.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        input: str = "",
        output: str = "",
        gives: Gives | None = None,
        normalised: bool = False,
        classes: int | None = None,
    ) -> None:
        root, _, name = url.rstrip("/").partition("/v2/models/")
        headers = {"Accept-Encoding": "identity"} | (
            {"Authorization": f"Bearer {key.strip()}"} if key else {}
        )
        try:
            address = httpx.URL(root)
            # A proxy of the environment has no business with this machine, nor with its keys.
            own = address.host in ("localhost", "127.0.0.1", "::1")
            self._http = httpx.Client(base_url=root, headers=headers, timeout=TIMEOUT, trust_env=not own)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InputError(f"{url}, or its key: {error}") from error
        weakref.finalize(self, self._http.close)
        if address.userinfo:
            raise InputError("a URL with a password in it: give --key")
        self._path = f"/v2/models/{name or self._only_model()}"
        self._normalised, self._binary, self._settled = normalised, True, False
        metadata = _json(self._send("GET", self._path))
        self.contract = _contract(metadata, input, output, gives)
        self._number = classes or len(self.contract.classes)

    def __call__(self, images: Tensor) -> Tensor:
        found = self._infer(images)
        if found.dtype.kind not in "biuf" or not found.size or not np.isfinite(found).all():
            raise InputError(
                f"{self._http.base_url}: {self.contract.output} holds what are no finite numbers"
            )
        if self.contract.gives == "labels":
            return self._one_hot(found, images)
        answer = torch.from_numpy(found.astype(np.float32))
        if answer.ndim != 4 or len(answer) != len(images) or self._number not in (0, answer.shape[1]):
            raise InputError(
                f"{self._http.base_url}: {self.contract.output} is {list(answer.shape)}; "
                f"[{len(images)}, {self._number or 'classes'}, height, width] is needed"
            )
        if answer.shape[2:] != images.shape[2:]:
            answer = F.interpolate(answer, images.shape[2:], mode="bilinear")
        if self.contract.gives == "logits":
            return answer.softmax(1)
        problem = what_is_wrong(answer, images, answer.shape[1])
        if problem:
            raise InputError(f"{self._http.base_url}: {self.contract.output} holds no posteriors: {problem}")
        return answer

    def _one_hot(self, labels: np.ndarray, images: Tensor) -> Tensor:
        if labels.shape != (len(images), *images.shape[2:]):
            raise InputError(f"{self._http.base_url}: {self.contract.output} is {list(labels.shape)}")
        return posteriors_of_labels(
            torch.from_numpy(labels.astype(np.int64)), self._number, str(self._http.base_url)
        )

    def _infer(self, images: Tensor) -> np.ndarray:
        tensor = NamedTensor(self.contract.input, _as_sent(images.cpu(), self.contract, self._normalised))
        response = self._post(tensor, binary=self._binary)
        if self._binary and not self._settled and response.status in WITHOUT_BINARY:
            tried = self._post(tensor, binary=False)
            if tried.status == 200:
                self._binary, response = False, tried
        _require_good(response)
        self._settled = True
        length = response.headers.get(HEADER_LENGTH)
        try:
            outputs = read_response(response.content, None if length is None else int(length))
            return outputs[self.contract.output]
        except (ValueError, KeyError) as error:
            raise InputError(f"{response.url}: no answer of the protocol: {error}") from error

    def _post(self, tensor: NamedTensor, binary: bool) -> "_Answer":
        body, length = write_request([tensor], [self.contract.output], binary)
        headers = {"Content-Type": "application/json"}
        if length is not None:
            headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(length)}
        if not self._settled:  # a server that fails at bytes may close the connection as it answers
            headers["Connection"] = "close"
        return self._send("POST", f"{self._path}/infer", content=body, headers=headers)

    def _only_model(self) -> str:
        response = self._send("POST", "/v2/repository/index", json={})
        listed = [] if response.status == 404 else _json(response)  # not every server has such a list
        try:
            names = [str(model["name"]) for model in listed]
        except (KeyError, TypeError) as error:
            raise InputError(f"{response.url}: gives no list of models") from error
        if len(names) != 1:
            raise InputError(
                f"{self._http.base_url}: give the model, as .../v2/models/NAME  {', '.join(names)}"
            )
        return names[0]

    def _send(self, method: str, path: str, **rest: Any) -> "_Answer":
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES
            try:
                answer = self._once(method, path, **rest)
            except httpx.ConnectError as error:
                if last:
                    raise InputError(f"{self._http.base_url}: {error}; does the server run?") from error
                wait = 0.1 * 2**attempt
            except (
                httpx.TransportError
            ) as error:  # it may have been counted: asking again is the user's to decide
                raise InputError(f"{self._http.base_url}{path}: {error or type(error).__name__}") from error
            else:
                if answer.status not in (429, 503) or last:
                    return answer
                wait = _seconds(answer.headers.get("Retry-After"), 0.1 * 2**attempt)
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, **rest: Any) -> "_Answer":
        content = bytearray()
        with self._http.stream(method, path, **rest) as response:
            for part in response.iter_raw():
                content += part
                if len(content) > MOST_BYTES:
                    raise InputError(f"{response.url}: its answer has more than {MOST_BYTES} bytes")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise InputError(f"{response.url}: its answer is compressed, which was not asked for")
            return _Answer(response.status_code, response.headers, bytes(content), str(response.url))


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    content: bytes
    url: str


def _contract(metadata: Any, input: str, output: str, gives: Gives | None) -> Contract:
    """What to send and what will come, by the metadata of the protocol and what the user says."""
    try:
        inputs = {str(each["name"]): str(each["datatype"]) for each in metadata["inputs"]}
        outputs = {str(each["name"]): str(each["datatype"]) for each in metadata["outputs"]}
        more = metadata.get("parameters") or {}
        classes = tuple(map(str, more.get("classes", ())))
        palette = tuple((int(red), int(green), int(blue)) for red, green, blue in more.get("palette", ()))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"the server's metadata is not that of the protocol: {error}") from error
    if palette and (
        len(palette) != len(classes) or not all(0 <= value <= 255 for each in palette for value in each)
    ):
        raise InputError("the server's palette does not fit its classes")
    input = _chosen(input, inputs, ("image",), "--input")
    output = _chosen(output, outputs, ("posteriors", "labels"), "--output")
    if inputs[input] not in ("UINT8", "FP32"):
        raise InputError(f"--input {input}: it is {inputs[input]}; UINT8 or FP32 is needed")
    return Contract(
        input, inputs[input], output, gives or _meaning(output, outputs[output]), classes, palette
    )


def _chosen(given: str, known: dict[str, str], usual: Sequence[str], option: str) -> str:
    found = [name for name in ([given] if given else [*usual, *known][: len(usual) + 1]) if name in known]
    if not found or (not given and len(known) > 1 and found[0] not in usual):
        raise InputError(f"{option} {given}: the server has {', '.join(known)}; choose one")
    return found[0]


def _meaning(output: str, datatype: str) -> Gives:
    if "INT" in datatype:
        return "labels"
    for word, meaning in MEANINGS.items():
        if word in output.lower():
            return meaning
    raise InputError(f"output {output}: say what it holds by --gives posteriors, logits or labels")


def _as_sent(images: Tensor, contract: Contract, normalised: bool) -> np.ndarray:
    is_float = images.is_floating_point()
    if contract.datatype == "UINT8":
        return ((images * 255).round().to(torch.uint8) if is_float else images).numpy()
    pictures = images.float() if is_float else images.float() / 255
    if normalised:
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        pictures = (pictures - mean) / deviation
    return pictures.numpy()


def _json(response: _Answer) -> Any:
    _require_good(response)
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{response.url}: gives no JSON; does it speak the Open Inference Protocol?"
        ) from error


def _require_good(response: _Answer) -> None:
    if response.status != 200:
        try:
            said = str(json.loads(response.content)["error"])
        except (ValueError, KeyError, TypeError, RecursionError):
            said = response.content[:200].decode(errors="replace")
        said = "".join(letter for letter in said[:200] if letter.isprintable())
        raise InputError(f"{response.url}: {response.status} {said}")


def _seconds(header: str | None, otherwise: float) -> float:
    try:
        seconds = float(header or otherwise)
    except ValueError:  # a date
        return otherwise
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else otherwise
