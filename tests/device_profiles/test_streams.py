"""Stream decoders: any pieces give the same samples, and nothing that arrives upsets them."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.metric import Metric
from device_profiles.streams import StreamDecoder, registry
from device_profiles.streams.wire import Wire
from tests.device_profiles import fuzz
from tests.device_profiles.soundness import EXACT, frames_in

CORPUS = Path(__file__).parent / "corpus"
WIRES = registry.names()
FUZZED_FRAMES = 10_000
FLUSH = b"\0" * 1200
LONGEST_HELD = 1100


def reader(wire: Wire) -> StreamDecoder:
    """A decoder that gives every field of the protocol as a metric of the same name."""
    metrics = [Metric(name=f, quantity="status", unit="1", field=f) for f in wire.fields]
    return StreamDecoder(wire, metrics, canonical=False)


def _all(name: str, parts: list[bytes]) -> tuple[list[object], tuple[int, int, int]]:
    decoder = reader(registry.wire(name))
    samples = [s for part in parts for s in decoder.feed(part, 7)]
    assert len(decoder._buffer) <= LONGEST_HELD
    return samples, (decoder.frames, decoder.resyncs, decoder.checksum_errors)


@pytest.mark.slow
@pytest.mark.parametrize("name", WIRES)
def test_ten_thousand_fuzzed_frames_are_decoded_right_or_rejected(name: str) -> None:
    rng = random.Random(f"fuzz {name}")
    for _ in range(FUZZED_FRAMES // 100):
        data = fuzz.stream(name, rng, 100) + FLUSH
        whole, counters = _all(name, [data])
        assert (whole, counters) == _all(name, fuzz.pieces(data, rng))
        assert all(s.value is None or math.isfinite(s.value) for s in whole)
        if name in EXACT:
            assert counters[0] == frames_in(EXACT[name], data)


@pytest.mark.parametrize("name", WIRES)
def test_the_stored_corpus_is_survived_in_any_pieces(name: str) -> None:
    lines = (CORPUS / f"{name}.txt").read_text(encoding="ascii").split()
    assert len(lines) >= 30
    for line in lines:
        data = bytes.fromhex(line)
        assert _all(name, [data]) == _all(name, [bytes([b]) for b in data])
        for other in WIRES:
            _all(other, [data])


@pytest.mark.parametrize("name", WIRES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_split_of_the_bytes_gives_the_same_samples(name: str, data: st.DataObject) -> None:
    wire = registry.wire(name)
    number = st.floats(min_value=-50, max_value=500, allow_nan=False)
    readings = st.dictionaries(st.sampled_from(sorted(wire.fields)), number, min_size=1)
    noise = st.binary(max_size=12)
    parts = data.draw(st.lists(st.one_of(noise, readings.map(lambda r: _encoded(wire, r)))))
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _all(name, pieces) == _all(name, [stream])


def _encoded(wire: Wire, reading: dict[str, float]) -> bytes:
    """The frame for a reading; values beyond what the frame can hold are brought within it."""
    try:
        return wire.encode(reading)
    except (OverflowError, ValueError):
        raise
    except Exception as error:
        raise AssertionError(f"{reading}: {error!r}") from error


@pytest.mark.parametrize("name", [n for n in WIRES if registry.wire(n).checked])
def test_one_wrong_byte_never_gives_a_wrong_sample(name: str) -> None:
    rng = random.Random(f"flip {name}")
    wire = registry.wire(name)
    for _ in range(300):
        frame = wire.encode(fuzz.values(wire, rng))
        truth = _all(name, [frame])[0]
        wrong = bytearray(frame)
        wrong[rng.randrange(len(wrong))] ^= rng.randint(1, 255)
        for sample in _all(name, [bytes(wrong)])[0]:
            sound = EXACT.get(name)
            # A byte outside the checksum may change, and by chance a shorter frame may be sound.
            assert sample in truth or (sound and frames_in(sound, bytes(wrong)))


@pytest.mark.parametrize("name", WIRES)
def test_garbage_before_a_frame_costs_one_resync_and_no_sample(name: str) -> None:
    wire = registry.wire(name)
    rng = random.Random(f"lost {name}")
    frame = wire.encode(fuzz.values(wire, rng))
    truth, _ = _all(name, [frame])
    decoder = reader(wire)
    assert decoder.feed(frame, 7) == truth
    decoder.feed(b"\x00\x80\x81\r\n\r", 7)
    again = decoder.feed(frame * 2, 7)
    assert again[-len(truth) :] == truth


@pytest.mark.parametrize("name", WIRES)
def test_a_frame_that_never_ends_is_not_hoarded(name: str) -> None:
    frame = registry.wire(name).encode({next(iter(registry.wire(name).fields)): 1.0})
    decoder = reader(registry.wire(name))
    for _ in range(200):
        decoder.feed(frame[: len(frame) // 2] + b"1" * 300, 7)
    assert len(decoder._buffer) <= LONGEST_HELD


def test_a_value_that_the_device_does_not_have_is_flagged_missing() -> None:
    from telemetry.quality import Flag

    decoder = reader(registry.wire("gill"))
    samples = {s.metric: s for s in decoder.feed(b"\x02Q,,000.04,M,00,\x032A\r\n", 5)}
    assert samples["wind_direction"].value is None
    assert samples["wind_direction"].flag is Flag.MISSING
    assert samples["wind_speed"].value == 0.04
    assert samples["wind_speed"].time_ms == 5


def test_halves_of_two_lines_are_never_read_as_one() -> None:
    decoder = reader(registry.wire("omnipresense"))
    assert decoder.feed(b"1", 1000) == []
    assert [s.value for s in decoder.feed(b"2.5\r\n", 1500) if s.metric == "speed"] == [12.5]
    assert decoder.feed(b"1", 2000) == []
    assert [s.value for s in decoder.feed(b"7.5\r\n", 9000) if s.metric == "speed"] == [7.5]
    assert decoder.resyncs == 1


def test_a_checked_frame_may_pause() -> None:
    decoder = reader(registry.wire("plantower"))
    frame = registry.wire("plantower").encode({"pm2_5": 12})
    assert decoder.feed(frame[:9], 1000) == []
    assert decoder.feed(frame[9:], 60_000)
