"""What the server counts, as Prometheus reads it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Of one server: several in a process do not add up."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "tessella_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self.in_flight = Gauge("tessella_requests_in_flight", "Requests being answered", registry=registry)
        self.pictures = Counter("tessella_pictures", "Pictures segmented", registry=registry)
        self.seconds = Histogram("tessella_request_seconds", "From request to answer", registry=registry)
        self.batches = Histogram(
            "tessella_batch_pictures",
            "Pictures that the model was asked about at a time",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )

    def text(self) -> bytes:
        return generate_latest(self._registry)
