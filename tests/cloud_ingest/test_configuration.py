"""A wrong ``cloud.yaml`` is refused with file, line and field, before anything is opened."""

from pathlib import Path

import pytest

from cloud_ingest.configuration import check_files, load_cloud
from cloud_ingest.service import Service
from telemetry.yaml_files import YamlFileError

BASE = "broker: {url: 'mqtt://127.0.0.1'}\nstore: {kind: embedded, path: ./data}\n"


def refused(folder: Path, text: str) -> str:
    (folder / "cloud.yaml").write_text(BASE + text, encoding="utf-8")
    with pytest.raises(YamlFileError) as caught:
        check_files(folder / "cloud.yaml", load_cloud(folder / "cloud.yaml"))
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rules: [x.yaml]", "cloud.yaml:3: rules[0]: there is no file x.yaml"),
        (
            "rules:\n  - library/demo\n  - library/vn-airr",
            "cloud.yaml:5: rules[1]: there is no rule pack library/vn-airr; did you mean library/vn-air?",
        ),
        (
            "intake:\n  mappings: [x.yaml]",
            "cloud.yaml:4: intake.mappings[0]: there is no file x.yaml",
        ),
        (
            "notify: [{url: 'json://x', quiet_hours: 25-3}]",
            "cloud.yaml:3: notify[0].quiet_hours: write hours of the day as 22:00-06:00, found '25-3'",
        ),
        ("notify: [5]", "cloud.yaml:3: notify[0]: write fields (name: value), found 5"),
    ],
)
def test_an_error_names_the_line_and_the_field(tmp_path, text, error) -> None:
    assert refused(tmp_path, text) == error


def test_an_entry_of_notify_may_be_only_its_address(tmp_path) -> None:
    (tmp_path / "cloud.yaml").write_text(BASE + "notify: ['json://x']", encoding="utf-8")
    assert [c.url for c in load_cloud(tmp_path / "cloud.yaml").notify] == ["json://x"]


def test_a_wrong_address_opens_no_store_and_no_database(tmp_path) -> None:
    (tmp_path / "cloud.yaml").write_text(BASE + "notify: ['foo://x']", encoding="utf-8")
    with pytest.raises(ValueError, match=r"channel foo-1: no notification service"):
        Service(load_cloud(tmp_path / "cloud.yaml"))
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.yaml"]
