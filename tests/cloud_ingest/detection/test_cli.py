import csv
import io

from typer.testing import CliRunner

from cloud_ingest.detection.cli import app
from tests.cloud_ingest.detection.streams import write_series_file

RUN = CliRunner()


def test_score_prints_a_row_for_each_row(tmp_path):
    write_series_file(tmp_path / "ph.csv")
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
