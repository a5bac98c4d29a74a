# mypy: disable-error-code="no-untyped-call"
"""Weighted tasks of Locust: wallets of 6 digits, and hashes in hex."""

from __future__ import annotations

import hashlib
import random
import time

from locust import HttpUser, between, task
from locust.clients import ResponseContextManager


def judge(reply: ResponseContextManager, *good: int) -> None:
    if reply.status_code in good:
        reply.success()
    elif reply.status_code == 429:
        reply.failure("rate limited")
    else:
        reply.failure(f"status {reply.status_code}")


class DidUser(HttpUser):
    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        self.person = {
            "wallet_address": f"addr_test1{random.randint(100_000, 999_999)}",
            "biometric_hash": hashlib.sha256(str(random.random()).encode()).hexdigest(),
        }

    @task(3)
    def verify(self) -> None:
        body = {**self.person, "timestamp": int(time.time())}
        with self.client.post("/api/v1/did/verify", json=body, name="verify_biometric", catch_response=True) as reply:
            judge(reply, 200, 401)

    @task(1)
    def enroll(self) -> None:
        body = {**self.person, "metadata": {"device_id": "device-7", "enrollment_type": "test"}}
        with self.client.post("/api/v1/did/enroll", json=body, name="enroll_biometric", catch_response=True) as reply:
            judge(reply, 201, 409)

    @task(5)
    def health(self) -> None:
        with self.client.get("/health", name="health_check", catch_response=True) as reply:
            judge(reply, 200)
