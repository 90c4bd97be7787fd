"""The S3 server of the rows that archive into object storage: moto, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import boto3
import psutil
from airflow_stack import free_port
from botocore.exceptions import BotoCoreError
from measure import cpu_seconds

BUCKET = "bench"
_ACCOUNT = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench", "region_name": "us-east-1"}


class Storage:
    """One bucket. It is never emptied: each row has folders of its own."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._s3 = boto3.client("s3", endpoint_url=self.url, **_ACCOUNT)

    def __enter__(self) -> Self:
        quiet = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        port = self.url.rpartition(":")[2]
        self.process = psutil.Popen(
            [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", port],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=quiet,
        )
        deadline = time.monotonic() + 60
        while not self._is_up():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.process.kill()
                raise RuntimeError("the S3 server does not start")
            time.sleep(0.2)
        return self

    def _is_up(self) -> bool:
        try:
            self._s3.create_bucket(Bucket=BUCKET)
        except BotoCoreError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._s3.close()
        self.process.terminate()
        self.process.wait(10)

    @property
    def connection(self) -> dict[str, object]:
        """The Airflow connection."""
        return {
            "conn_type": "aws",
            "login": _ACCOUNT["aws_access_key_id"],
            "password": _ACCOUNT["aws_secret_access_key"],
            "extra": {"endpoint_url": self.url, "region_name": _ACCOUNT["region_name"]},
        }

    def cpu(self) -> float:
        """Processor time of the server so far."""
        return cpu_seconds([self.process])

    def pictures(self, folder: str) -> int:
        """How many pictures are archived below a folder."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{folder}/")
        return sum(entry["Key"].endswith(".png") for page in pages for entry in page.get("Contents", ()))
