"""Decoding results of InfluxDB, also while a point is being written."""

import numpy as np

from cloud_ingest.stores.influxdb.queries import to_envelope, to_sample_columns

GOOD = ["time", "mean", "min", "max", "last", "count", "min", "max"]
ALL = ["time", "count", "min"]


def test_a_step_whose_only_point_is_half_written_is_not_there_yet() -> None:
    good = [{"columns": GOOD, "values": [[0, 2.0, 1.0, 3.0, 3.0, 2, 1, 1]]}]
    everything = [{"columns": ALL, "values": [[0, 2, 1], [60_000, None, None]]}]
    found = to_envelope(good, everything)
    assert found.time_ms.tolist() == [0]
    assert found.good.tolist() == [2]
    assert found.quality.tolist() == [1]


def test_a_step_that_only_one_of_two_questions_saw_does_no_harm() -> None:
    good = [{"columns": GOOD, "values": [[0, 2.0, 2.0, 2.0, 2.0, 1, 1, 1]] * 1
             + [[60_000, 5.0, 5.0, 5.0, 5.0, 1, 1, 1]]}]  # fmt: skip
    everything = [{"columns": ALL, "values": [[0, 1, 1], [120_000, 1, 4]]}]
    found = to_envelope(good, everything)
    assert found.time_ms.tolist() == [0, 120_000]
    assert found.good.tolist() == [1, 0]
    assert np.isnan(found.mean[1])
    assert found.quality.tolist() == [1, 4]


def test_a_step_that_only_some_aggregates_have_seen_shows_no_value() -> None:
    good = [{"columns": GOOD, "values": [[0, 1.0, 1.0, None, None, 10, 1, 1],
                                         [60_000, 2.0, 1.0, 3.0, 3.0, 2, 1, 1]]}]  # fmt: skip
    everything = [{"columns": ALL, "values": [[0, 10, 1], [60_000, 2, 1]]}]
    found = to_envelope(good, everything)
    assert found.good.tolist() == [0, 2]
    assert np.isnan([found.mean[0], found.min[0], found.max[0], found.last[0]]).all()


def test_a_half_written_sample_is_not_shown() -> None:
    answer = [{"columns": ["time", "value", "quality"], "values": [[0, 1.5, 1], [1, 2.5, None]]}]
    assert to_sample_columns(answer).time_ms.tolist() == [0]
