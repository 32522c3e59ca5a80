"""The levels of air-quality indices: ranges, names and colours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexLevel:
    """One level of an index, from ``low`` to ``high`` inclusive."""

    id: str
    low: int
    high: int
    vi: str
    en: str
    colour: str


# Decision 1459/QĐ-TCMT (12/11/2019), table 1. The English names are translations.
VN_AQI = (
    IndexLevel("good", 0, 50, "Tốt", "Good", "#00E400"),
    IndexLevel("moderate", 51, 100, "Trung bình", "Moderate", "#FFFF00"),
    IndexLevel("poor", 101, 150, "Kém", "Poor", "#FF7E00"),
    IndexLevel("bad", 151, 200, "Xấu", "Bad", "#FF0000"),
    IndexLevel("very_bad", 201, 300, "Rất xấu", "Very bad", "#8F3F97"),
    IndexLevel("hazardous", 301, 500, "Nguy hại", "Hazardous", "#7E0023"),
)

# US EPA, 40 CFR 58 appendix G; colours are those of the Decision.
EPA_AQI = (
    IndexLevel("good", 0, 50, "Tốt", "Good", "#00E400"),
    IndexLevel("moderate", 51, 100, "Trung bình", "Moderate", "#FFFF00"),
    IndexLevel("sensitive", 101, 150, "Không tốt cho nhóm nhạy cảm", "Unhealthy for Sensitive Groups", "#FF7E00"),
    IndexLevel("unhealthy", 151, 200, "Không tốt", "Unhealthy", "#FF0000"),
    IndexLevel("very_unhealthy", 201, 300, "Rất không tốt", "Very Unhealthy", "#8F3F97"),
    IndexLevel("hazardous", 301, 500, "Nguy hại", "Hazardous", "#7E0023"),
)  # fmt: skip

INDICES = {"vn_aqi": VN_AQI, "epa_aqi": EPA_AQI}


def level_of(index: str, value: int) -> IndexLevel:
    """The level of an index value; values above the scale belong to the highest level."""
    levels = INDICES[index]
    return next((level for level in levels if value <= level.high), levels[-1])
