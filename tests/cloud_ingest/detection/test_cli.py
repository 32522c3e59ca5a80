import csv
import gzip
import io
import json

import numpy as np
from typer.testing import CliRunner

from cloud_ingest.detection.cli import app

RUN = CliRunner()


def write_series(path, rows=1200):
    rng = np.random.default_rng(1)
    start = np.datetime64("2026-01-01T00:00:00")
    with path.open("w") as out:
        out.write("timestamp,value\n")
        for i in range(rows):
            value = 20 + 5 * np.sin(i / 15) + rng.normal(0, 0.3) + (30 if i == 1000 else 0)
            stamp = str(start + np.timedelta64(15 * i, "m")).replace("T", " ")
            out.write(f"{stamp},{value:.3f}\n")


def test_score_prints_a_row_for_each_row(tmp_path):
    write_series(tmp_path / "ph.csv")
    done = RUN.invoke(
        app, ["score", str(tmp_path / "ph.csv"), "--layer", "fault", "--quantity", "ph"]
    )
    assert done.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 1200
    assert rows[1000]["reason"] == "spike"
    assert float(rows[1000]["score"]) > 2.8
    assert rows[500]["reason"] == "none"


def test_a_wrong_file_is_refused_with_its_line(tmp_path):
    (tmp_path / "bad.csv").write_text("timestamp,value\n2026-01-01,3\nyesterday,4\n")
    done = RUN.invoke(app, ["score", str(tmp_path / "bad.csv")])
    assert done.exit_code == 2
    assert "bad.csv:3" in done.stderr
    (tmp_path / "odd.csv").write_text("time;x\n")
    done = RUN.invoke(app, ["score", str(tmp_path / "odd.csv")])
    assert done.exit_code == 2
    assert "timestamp,value" in done.stderr


def test_evaluate_writes_a_report_for_the_data_that_is_there(tmp_path):
    data = tmp_path / "data"
    (data / "nab" / "made").mkdir(parents=True)
    write_series(data / "nab" / "made" / "one.csv")
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
    done = RUN.invoke(app, ["evaluate", "--data", str(data), "--report", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    report = (tmp_path / "out" / "report.md").read_text()
    assert "made/one.csv" in report
    assert "Here2026" in report
    assert (tmp_path / "out" / "nab.png").stat().st_size > 1000
    assert set(json.loads((tmp_path / "out" / "figures.json").read_text())) == {"nab", "water"}


def test_evaluate_says_where_data_is_missing(tmp_path):
    done = RUN.invoke(app, ["evaluate", "--data", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert "--data" in done.stderr
    done = RUN.invoke(app, ["evaluate", "--data", str(tmp_path), "--report", str(tmp_path / "r")])
    assert done.exit_code == 1
