"""The Modbus CRC against published frames, pymodbus and the definition bit by bit.

Edge and simulators share one implementation, so that their tests cannot find a mistake in it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from telemetry.crc import CRC_8005, crc16, crc_table, has_valid_crc, table_crc, with_crc


@pytest.mark.parametrize(
    "frame",
    [
        "02 07 41 12",  # Modbus over Serial Line V1.02, 6.2.2: the example, low byte first
        "01 03 00 00 00 03 05 cb",  # a request for three registers
        "01 03 06 01 ef 01 44 00 04 b5 59",  # its reply
        "01 04 00 00 00 02 71 cb",  # SDM630: reading the voltage, as its protocol document prints it
    ],
)
def test_published_frames_have_the_published_crc(frame: str) -> None:
    data = bytes.fromhex(frame)
    assert with_crc(data[:-2]) == data
    assert has_valid_crc(data)


@given(st.binary(max_size=250))
def test_the_crc_is_that_of_pymodbus(data: bytes) -> None:
    assert with_crc(data) == data + FramerRTU.compute_CRC(data).to_bytes(2, "big")
    assert crc16(with_crc(data)) == 0


@given(st.binary(max_size=40), st.sampled_from([0xA001, 0x8408]), st.integers(0, 0xFFFF))
def test_the_tables_follow_the_definition(data: bytes, polynomial: int, start: int) -> None:
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ polynomial if crc & 1 else crc >> 1
    assert table_crc(data, crc_table(polynomial), start) == crc


def test_other_checks_of_the_same_family_have_their_published_values() -> None:
    # The check values of the CRC catalogue (Greg Cook): CRC-16/ARC and CRC-16/MCRF4XX
    assert table_crc(b"123456789", CRC_8005, 0) == 0xBB3D
    assert table_crc(b"123456789", crc_table(0x8408), 0xFFFF) == 0x6F91


@given(st.binary(min_size=2, max_size=60), st.integers(0, 1 << 20))
def test_a_flipped_bit_is_found(data: bytes, position: int) -> None:
    frame = bytearray(with_crc(data))
    frame[position // 8 % len(frame)] ^= 1 << position % 8
    assert not has_valid_crc(frame)
