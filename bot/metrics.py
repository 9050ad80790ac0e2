"""Counters of the running bot, in Prometheus' terms; one object that the composition root makes and passes on."""

from __future__ import annotations

import secrets

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ACK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)  # Discord's limit is 3 s
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
WAIT_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 900, 3600)


class Metrics:
    """Everything that `/metrics` shows. Label values are our own words, never a member's."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.jobs = Gauge("pastel_jobs", "Jobs by status", ["status"], registry=r)
        self.submitted = Counter("pastel_submitted", "Jobs accepted", ["relation"], registry=r)
        self.finished = Counter("pastel_finished", "Attempts that ended", ["outcome"], registry=r)
        self.wait_seconds = Histogram("pastel_wait_seconds", "From accepted to claimed", buckets=WAIT_BUCKETS, registry=r)
        self.draw_seconds = Histogram("pastel_draw_seconds", "From claimed to pictures", buckets=WAIT_BUCKETS, registry=r)
        self.steps = Counter("pastel_steps", "Denoising steps done", registry=r)
        self.images = Counter("pastel_images", "Pictures finished", registry=r)
        self.deliveries = Counter("pastel_deliveries", "Delivery attempts by way and result", ["way", "result"], registry=r)
        self.ack_seconds = Histogram(
            "pastel_ack_seconds", "From receiving an interaction to its first answer", buckets=ACK_BUCKETS, registry=r
        )
        self.loop_lag_seconds = Histogram(
            "pastel_loop_lag_seconds", "How late the event loop wakes a sleeper", buckets=LAG_BUCKETS, registry=r
        )
        self.traces_seconds = Gauge(
            "pastel_traces_seconds", "Since the first erasure whose traces are still in the database file; 0 = none", registry=r
        )
        self.free_bytes = Gauge("pastel_free_bytes", "Room on the disk of the data folder", registry=r)
        self.database_bytes = Gauge("pastel_database_bytes", "The database file", registry=r)
        self.database_log_bytes = Gauge("pastel_database_log_bytes", "The database's log (-wal)", registry=r)
        self.pictures = Gauge("pastel_pictures", "Stored pictures and uploads, as of the last hourly look", registry=r)
        self.picture_bytes = Gauge("pastel_picture_bytes", "Their bytes, as of the last hourly look", registry=r)
        self.errors = Counter("pastel_errors", "Unexpected errors logged with an id", registry=r)

    def incident(self) -> str:
        """Count an unexpected error and return the short id under which it is logged and reported."""
        self.errors.inc()
        return secrets.token_hex(4)
