"""Tags in cloud.yaml let rules select series that no birth certificate tells apart."""

from alert_rules import load_rules
from cloud_ingest.inventory.tags import Tags
from telemetry.series import Series, SeriesKey


def series(key: str, quantity: str = "cod", tags: tuple[str, ...] = ()) -> Series:
    return Series(0, SeriesKey.parse(key), "binh-duong", "mp", quantity, "mg/L", tags=tags)


def test_stations_gateways_devices_and_series_can_be_tagged() -> None:
    one = series("bd-mp-003/analyser/cod")
    for name in (
        "mp",
        "bd-mp-003",
        "bd-mp-003/analyser",
        "bd-mp-003/analyser/cod",
        "bd-*/analyser",
    ):
        assert Tags({"outfall": [name]}).of(one) == ("outfall",)
    assert Tags({"outfall": ["tdm", "bd-mp-003/sonde"]}).of(one) == ()


def test_tags_that_a_series_has_stay_and_none_is_doubled() -> None:
    one = series("g/d/m", tags=("bus:rs485", "outfall"))
    assert Tags({"outfall": ["g"], "checked": ["g"]}).of(one) == ("bus:rs485", "outfall", "checked")


def test_a_tagged_outfall_is_selected_by_the_effluent_pack(tmp_path) -> None:
    rules = load_rules(["library/vn-effluent"], tmp_path)
    cod = [r for r in rules.rules if r.select.quantity == ("cod",)]
    assert cod
    untagged = series("bd-mp-003/analyser/cod")
    tagged = Tags({"outfall": ["mp"]}).put_on([untagged])[0]
    assert not any(r.select.matches(untagged) for r in cod)
    assert any(r.select.matches(tagged) for r in cod)
