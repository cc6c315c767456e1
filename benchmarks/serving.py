"""The server under load: requests a second and how long they take, beside calling the same network in this process.

    python benchmarks/serving.py [--seconds 20] [--rounds 5] [--clients 1 4 16]

Method: a DeepLab-v3+ with ResNet-50 on 480x360 pictures, weights at random; `tessella serve` in a process of its own,
label maps, binary tensors, pictures as UINT8. Rounds of calling the network here and of asking the server take turns;
the ratio is that of the medians of pictures a second. Writes ``benchmarks/results/serving.json``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import torch

from tessella.files import write_json
from tessella.runs.environment import environment
from tessella.runs.model import load_model
from tessella.serving.protocol import HEADER_LENGTH, NamedTensor, write_request

NETWORK = """
from functools import partial
import torch
from tessella.networks import DeepLabV3Plus, ResNet

def network():
    torch.manual_seed(0)
    return DeepLabV3Plus(11, backbone=partial(ResNet, depth=50)).to(memory_format=torch.channels_last)
"""
HEIGHT, WIDTH = 360, 480
BATCHES = (1, 2, 4, 8)


def ask(url: str, body: bytes, length: int, until: float) -> list[float]:
    """Seconds that each request took, of one client after another request."""
    took = []
    with httpx.Client(timeout=120) as client:
        while time.perf_counter() < until:
            start = time.perf_counter()
            client.post(url, content=body, headers={HEADER_LENGTH: str(length)}).raise_for_status()
            took.append(time.perf_counter() - start)
    return took


def served(url: str, clients: int, seconds: float) -> tuple[float, list[float]]:
    """Pictures a second, and what each took."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, HEIGHT, WIDTH), np.uint8)
    body, length = write_request([NamedTensor("image", picture)], ["labels"], binary=True)
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask, url, body, length, start + seconds) for _ in range(clients)]
        took = [each for client in asked for each in client.result()]
    return len(took) / (time.perf_counter() - start), took


def in_process(model, seconds: float, batch: int = 1) -> float:
    """Pictures a second."""
    pictures = torch.randint(0, 256, (batch, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    start, number = time.perf_counter(), 0
    with torch.inference_mode():
        while time.perf_counter() < start + seconds:
            model(pictures).argmax(1)
            number += batch
    return number / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "served.py"
        checkpoint.write_text(NETWORK)
        source = f"{checkpoint}:network"
        command = [sys.executable, "-m", "tessella.cli", "serve", source, "--name", "net"]
        process = subprocess.Popen(
            [*command, "--state", folder, "--port", str(options.port)], stdout=subprocess.PIPE
        )
        try:
            result = measure(source, f"http://127.0.0.1:{options.port}", options)
        finally:
            process.terminate()
            process.wait()
    write_json(Path(__file__).parent / "results" / "serving.json", {**result, **environment()})
    print(json.dumps(result, indent=1))


def measure(source: str, root: str, options: argparse.Namespace) -> dict:
    with httpx.Client(transport=httpx.HTTPTransport(retries=7)) as client:
        client.get(f"{root}/v2/health/ready").raise_for_status()
    model = load_model(source)
    runs = {"in process": partial(in_process, model, options.seconds)}
    runs |= {n: partial(served, f"{root}/v2/models/net/infer", n, options.seconds) for n in options.clients}
    rates: dict = {name: [] for name in runs}
    took: dict = {n: [] for n in options.clients}
    in_process(model, 3)
    for _ in range(options.rounds):
        for name, run in runs.items():
            found = run()
            rates[name].append(found if name == "in process" else found[0])
            if name != "in process":
                took[name] += found[1]
    alone = median(rates["in process"])
    batches: dict = {n: [] for n in BATCHES}
    for _ in range(options.rounds):
        for n in BATCHES:
            batches[n].append(in_process(model, options.seconds / 2, n))
    return {
        "in process, pictures a second": round(alone, 3),
        "in process, by batch": {n: round(median(found), 3) for n, found in batches.items()},
        "served": {
            f"{n} clients": {
                "requests a second": round(median(rates[n]), 3),
                "of in process": round(median(rates[n]) / alone, 3),
                **{f"p{q}": round(float(np.percentile(took[n], q)), 4) for q in (50, 95, 99)},
                "requests": len(took[n]),
            }
            for n in options.clients
        },
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


if __name__ == "__main__":
    main()
