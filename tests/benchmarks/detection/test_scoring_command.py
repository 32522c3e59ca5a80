"""``python -m benchmarks.detection.scoring``: its report, and wrong usage."""

import gzip
import json

import pytest

from benchmarks.detection.scoring.__main__ import main
from tests.cloud_ingest.detection.streams import write_series_file


def test_the_report_covers_the_data_sets_that_are_present(tmp_path):
    data = tmp_path / "data"
    (data / "nab" / "made").mkdir(parents=True)
    write_series_file(data / "nab" / "made" / "one.csv")
    window = ["2026-01-11 04:00:00.000000", "2026-01-11 16:00:00.000000"]
    (data / "nab" / "windows.json").write_text(json.dumps({"made/one.csv": [window]}))
    (data / "water_lro").mkdir()
    columns = [
        f"{v}{e}"
        for v in ("temp", "cond", "ph", "do", "turb", "stage")
        for e in ("", "_cor", "_qual")
    ]
    with gzip.open(data / "water_lro" / "Here2026.csv.gz", "wt") as out:
        out.write("timestamp," + ",".join(columns) + "\n")
        for i in range(400):
            out.write(f"2026-01-{1 + i // 96:02d} {i // 4 % 24:02d}:{i % 4 * 15:02d}:00")
            out.write(f",{20 + i % 7},20,{'1' if i == 300 else ''}" * 6 + "\n")
    assert main(["--data", str(data), "--report", str(tmp_path / "out")]) == 0
    report = (tmp_path / "out" / "report.md").read_text()
    assert "made/one.csv" in report
    assert "Here2026" in report
    assert (tmp_path / "out" / "nab.png").stat().st_size > 1000
    assert set(json.loads((tmp_path / "out" / "figures.json").read_text())) == {"nab", "water"}


def test_a_folder_that_does_not_exist_is_bad_usage(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--data", str(tmp_path / "nowhere")])
    assert "--data" in capsys.readouterr().err


def test_a_folder_without_any_data_set_is_a_problem(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--report", str(tmp_path / "report")]) == 1
    assert "water_lro" in capsys.readouterr().err
