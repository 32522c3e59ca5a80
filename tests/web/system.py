"""A whole cloud for the tests of its page: embedded broker and store, one process."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.cloud_ingest.notification.servers import HttpServer
from tests.servers import free_port, wait_until

RULES = """\
pack: page
name: {vi: Thử trang, en: Page tests}
rules:
  - id: dust
    kind: threshold
    name: {vi: Bụi cao, en: High dust}
    text:
      vi: "{station}: PM2.5 là {value} {unit}, vượt {limit} {unit}."
      en: "{station}: PM2.5 is {value} {unit}, above {limit} {unit}."
    select: {quantity: pm2_5}
    above: 100
    clear: 90
    hold: 1s
    clear_after: 1s
    severity: critical
"""


class System:
    """``quantrac cloud run`` in a folder of its own; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.office = HttpServer()
        self.mqtt_port = free_port()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        (folder / "cloud.yaml").write_text(
            f"broker: {{embedded: {{port: {self.mqtt_port}}}}}\n"
            "store: {kind: embedded, path: ./samples}\n"
            "database: sqlite:///./quantrac.db\n"
            f"web: {{host: 127.0.0.1, port: {self.port}}}\n"
            "rules: [./rules.yaml]\n"
            f"notify: [{{name: van-phong, url: '{self.office.url}', severity: [critical]}}]\n",
            encoding="utf-8",
        )

    def start(self) -> None:
        log = (self._folder / "cloud.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quantrac", "cloud", "run", "--config", "cloud.yaml"],
            cwd=self._folder, stdout=log, stderr=log, env=None,
        )  # fmt: skip
        wait_until(self._answers, f"the cloud answers; see {self._folder}/cloud.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1{path}", timeout=10) as reply:
            return json.load(reply)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/about"))
        return False
