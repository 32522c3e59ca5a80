"""Both text catalogues have the same keys, and the page uses only and all of them."""

import json
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "cloud_ingest/web/src"
# Keys made at run time: text(`legend.${level}`) and the like.
MADE = re.compile(r"`([a-z_.]+\.)\$\{")
WRITTEN = re.compile(r'"([a-z_]+(?:\.[a-z0-9_]+)*)"')
ASKED = re.compile(r'\btext\(\s*"([^"]+)"')


def catalogue(language: str) -> dict[str, str]:
    pairs = json.loads(
        (SOURCE / f"texts/{language}.json").read_text(encoding="utf-8"), object_pairs_hook=list
    )
    assert len(dict(pairs)) == len(pairs), "a key stands there twice"
    return dict(pairs)


def code() -> str:
    files = [*SOURCE.rglob("*.ts"), *SOURCE.rglob("*.tsx")]
    return "\n".join(f.read_text(encoding="utf-8") for f in files)


def test_both_catalogues_have_the_same_keys_in_the_same_order() -> None:
    assert list(catalogue("vi")) == list(catalogue("en"))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_text_is_empty(language: str) -> None:
    assert [key for key, said in catalogue(language).items() if not said.strip()] == []


def test_both_languages_fill_in_the_same_values() -> None:
    vi, en = catalogue("vi"), catalogue("en")
    names = {key: [set(re.findall(r"\{(\w+)\}", said[key])) for said in (vi, en)] for key in vi}
    assert {key: pair for key, pair in names.items() if pair[0] != pair[1]} == {}


def test_every_text_that_the_code_asks_for_exists() -> None:
    asked = set(ASKED.findall(code()))
    assert asked, "the search found nothing: the code asks in another way now"
    assert asked - set(catalogue("en")) == set()


def test_every_text_is_used() -> None:
    source = code()
    prefixes = tuple(MADE.findall(source))
    written = set(WRITTEN.findall(source))
    unused = [k for k in catalogue("en") if k not in written and not k.startswith(prefixes)]
    assert unused == []


def test_vietnamese_is_vietnamese() -> None:
    vi, en = catalogue("vi"), catalogue("en")
    same = {key for key in vi if vi[key] == en[key] and re.search(r"[a-z]{4}", vi[key])}
    assert {key: vi[key] for key in same if not re.fullmatch(r"(\{\w+\}|\W)+", vi[key])} == {}


def test_the_page_and_the_files_of_reports_say_the_same_of_a_legal_basis() -> None:
    from cloud_ingest.api.report_files import _LEGAL_VI

    prefix = "basis."
    said = {k.removeprefix(prefix): v for k, v in catalogue("vi").items() if k.startswith(prefix)}
    assert said == _LEGAL_VI
    assert all(catalogue("en")[prefix + key] == key for key in said)


def test_every_part_that_health_checks_has_a_name() -> None:
    checks = {"broker", "store", "database", "pipeline", "notification"}
    assert {f"check.{name}" for name in checks} <= set(catalogue("vi"))
