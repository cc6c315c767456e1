"""One model for many who ask at a time: what waits and has one size is answered in one batch."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
from jaxtyping import UInt8
from torch import Tensor

Answer = Callable[[UInt8[Tensor, "batch channels height width"]], Tensor]


class Overloaded(Exception):
    """More waits than is allowed to, or the server is stopping."""


@dataclass
class _Asked:
    answer: Answer
    images: Tensor
    future: "Future[Tensor]" = field(default_factory=Future)

    def goes_with(self, other: "_Asked") -> bool:
        return self.answer is other.answer and self.images.shape[1:] == other.images.shape[1:]


class Batcher:
    """Asks from a thread of its own, for at most ``most`` pictures at a time, in the order of arrival.

    waiting: requests that may wait; more raise Overloaded. observe: called with the size of each batch.
    """

    def __init__(self, most: int, waiting: int, observe: Callable[[int], None] = lambda size: None) -> None:
        self._most, self._observe = most, observe
        self._queue: queue.Queue[_Asked | None] = queue.Queue(waiting)
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def ask(self, answer: Answer, images: Tensor) -> "Future[Tensor]":
        """What ``answer`` makes of [B, C, H, W]: anything [B, ...], each row depending on its picture alone.

        Raises Overloaded.
        """
        asked = _Asked(answer, images)
        with self._lock:
            if self._closed:
                raise Overloaded("the server is stopping")
            try:
                self._queue.put_nowait(asked)
            except queue.Full as error:
                raise Overloaded("too many requests are waiting") from error
        return asked.future

    def close(self) -> None:
        """Take no more, answer what was taken, end the thread."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        first = self._queue.get()
        while first is not None:
            batch, after = self._companions(first)
            self._run(batch)
            first = after if after is not _NOTHING else self._queue.get()

    def _companions(self, first: _Asked) -> tuple[list[_Asked], _Asked | None]:
        """What waits behind ``first``, goes with it and fits; and the next, or ``_NOTHING`` where none waits."""
        batch, size = [first], len(first.images)
        while True:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return batch, _NOTHING
            if (
                following is None
                or not following.goes_with(first)
                or size + len(following.images) > self._most
            ):
                return batch, following
            batch.append(following)
            size += len(following.images)

    def _run(self, batch: list[_Asked]) -> None:
        batch = [asked for asked in batch if asked.future.set_running_or_notify_cancel()]
        if not batch:
            return
        self._ask(batch)

    def _ask(self, batch: list[_Asked]) -> None:
        self._observe(sum(len(asked.images) for asked in batch))
        try:
            with torch.inference_mode():
                images = torch.cat([asked.images for asked in batch])
                answers = torch.cat([batch[0].answer(part) for part in images.split(self._most)])
            parts = answers.split([len(asked.images) for asked in batch])
        except Exception as error:  # the caller's, who waits for it in another thread
            if len(batch) == 1:
                batch[0].future.set_exception(error)
            else:  # one may have spoilt it for all
                for asked in batch:
                    self._ask([asked])
            return
        for asked, part in zip(batch, parts, strict=True):
            asked.future.set_result(part)


_NOTHING = _Asked(torch.clone, torch.empty(0))
