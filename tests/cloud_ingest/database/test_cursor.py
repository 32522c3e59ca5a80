"""Cursors of paged lists: what was encoded comes back, anything else is refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.database.cursor import InvalidCursor, decode_cursor, encode_cursor


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=3))
def test_integers_come_back(key: list[int]) -> None:
    assert decode_cursor(encode_cursor(*key), int, len(key)) == key


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(key: str) -> None:
    assert decode_cursor(encode_cursor(key), str) == [key]


@pytest.mark.parametrize("content", ["rubbish", "5", "[]", "[true]", '["5"]', "[1.0]", "[1, 2]"])
def test_another_key_is_refused(content: str) -> None:
    cursor = base64.urlsafe_b64encode(content.encode()).decode()
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, int)


def test_a_number_beyond_64_bits_is_refused() -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([1 << 63]).encode()).decode()
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, int)


@given(st.text())
def test_no_text_fails_in_another_way(cursor: str) -> None:
    try:
        decode_cursor(cursor, str)
    except InvalidCursor:
        return
