"""Every figure that a running service gives Prometheus is documented."""

import re
from pathlib import Path

import httpx

from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.service import Service
from tests.docs.pages import DOCS, tables
from tests.servers import free_port


def test_each_metric_stands_in_the_page_with_its_type(tmp_path: Path) -> None:
    configuration = CloudConfiguration.model_validate(
        {
            "broker": {"embedded": {"port": free_port()}},
            "store": {"kind": "embedded", "path": "data"},
            "web": {"port": 0},
        }
    )
    service = Service(in_folder(configuration, tmp_path))
    service.start()
    try:
        text = httpx.get(f"{service.address}/metrics", timeout=60).text
    finally:
        service.stop()
    given = set(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert len(given) > 10
    assert {(row[0].strip("`"), row[1]) for row in tables(DOCS / "cloud.md", "metric")} == given
