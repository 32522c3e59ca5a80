"""The quantities that Quantrac knows: fixed name, canonical unit, English and Vietnamese name.

Names and units are contract C7 of the design: other programs rely on them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measurable quantity. ``unit`` is the UCUM code in which values are stored and judged.

    ``cumulative`` marks a counter that only grows (rain, energy, vehicles): its increase is what
    counts. ``circular`` marks an angle, which needs a circular mean.
    """

    name: str
    unit: str
    domain: str
    en: str
    vi: str
    cumulative: bool = False
    circular: bool = False


_TABLE = """
air|pm1|ug/m3|PM1|Bụi PM1
air|pm2_5|ug/m3|PM2.5|Bụi PM2.5
air|pm4|ug/m3|PM4|Bụi PM4
air|pm10|ug/m3|PM10|Bụi PM10
air|so2|ug/m3|Sulphur dioxide|Lưu huỳnh điôxít (SO2)
air|no2|ug/m3|Nitrogen dioxide|Nitơ điôxít (NO2)
air|no|ug/m3|Nitric oxide|Nitơ mônôxít (NO)
air|nox|ug/m3|Nitrogen oxides|Nitơ ôxít (NOx)
air|o3|ug/m3|Ozone|Ôzôn (O3)
air|co|ug/m3|Carbon monoxide|Cacbon mônôxít (CO)
air|nh3|ug/m3|Ammonia|Amoniac (NH3)
air|h2s|ug/m3|Hydrogen sulphide|Hydro sunfua (H2S)
air|voc|ug/m3|Volatile organic compounds|Hợp chất hữu cơ bay hơi
air|formaldehyde|ug/m3|Formaldehyde|Fomanđêhít (HCHO)
air|co2|[ppm]|Carbon dioxide|Cacbon điôxít (CO2)
weather|air_temperature|Cel|Air temperature|Nhiệt độ không khí
weather|dew_point|Cel|Dew point|Điểm sương
weather|relative_humidity|%|Relative humidity|Độ ẩm tương đối
weather|atmospheric_pressure|hPa|Atmospheric pressure|Áp suất khí quyển
weather|wind_speed|m/s|Wind speed|Tốc độ gió
weather|wind_gust|m/s|Wind gust|Gió giật
weather|wind_direction|deg|Wind direction|Hướng gió|circular
weather|precipitation|mm|Precipitation (total)|Lượng mưa tích lũy|cumulative
weather|precipitation_rate|mm/h|Precipitation rate|Cường độ mưa
weather|solar_irradiance|W/m2|Solar irradiance|Bức xạ mặt trời
weather|illuminance|lx|Illuminance|Độ rọi
weather|uv_index|1|UV index|Chỉ số tia cực tím
noise|laeq|dB[A]|Equivalent sound level LAeq|Mức ồn tương đương LAeq
noise|lamax|dB[A]|Maximum sound level LAmax|Mức ồn cực đại LAmax
noise|lamin|dB[A]|Minimum sound level LAmin|Mức ồn cực tiểu LAmin
noise|la10|dB[A]|Sound level exceeded 10% of the time|Mức ồn vượt 10% thời gian
noise|la50|dB[A]|Sound level exceeded 50% of the time|Mức ồn vượt 50% thời gian
noise|la90|dB[A]|Sound level exceeded 90% of the time|Mức ồn vượt 90% thời gian
water|water_temperature|Cel|Water temperature|Nhiệt độ nước
water|ph|[pH]|pH|pH
water|dissolved_oxygen|mg/L|Dissolved oxygen|Oxy hòa tan
water|dissolved_oxygen_saturation|%|Dissolved oxygen saturation|Độ bão hòa oxy hòa tan
water|conductivity|uS/cm|Conductivity|Độ dẫn điện
water|turbidity|[NTU]|Turbidity|Độ đục
water|orp|mV|Redox potential|Thế oxy hóa khử
water|cod|mg/L|Chemical oxygen demand|COD
water|bod5|mg/L|Biochemical oxygen demand|BOD5
water|tss|mg/L|Suspended solids|Chất rắn lơ lửng (TSS)
water|total_dissolved_solids|mg/L|Total dissolved solids|Tổng chất rắn hòa tan (TDS)
water|ammonium|mg/L|Ammonium|Amoni
water|nitrate|mg/L|Nitrate|Nitrat
water|total_nitrogen|mg/L|Total nitrogen|Tổng nitơ
water|total_phosphorus|mg/L|Total phosphorus|Tổng phốt pho
water|free_chlorine|mg/L|Free chlorine|Clo dư
water|chlorophyll_a|ug/L|Chlorophyll a|Diệp lục a
water|colour|[Pt-Co]|Colour|Độ màu
water|water_level|m|Water level|Mực nước
water|distance|m|Distance to the surface|Khoảng cách tới mặt nước
water|flow_rate|m3/h|Flow rate|Lưu lượng
water|flow_velocity|m/s|Flow velocity|Vận tốc dòng chảy
water|volume|m3|Volume (total)|Tổng lượng nước|cumulative
stack|dust|mg/m3|Dust|Bụi tổng
stack|oxygen|%|Oxygen|Oxy (O2)
stack|stack_temperature|Cel|Stack gas temperature|Nhiệt độ khí thải
stack|stack_flow|m3/h|Stack gas flow|Lưu lượng khí thải
traffic|vehicle_count|1|Vehicles (total)|Số lượt xe tích lũy|cumulative
traffic|vehicle_flow|1/h|Traffic flow|Lưu lượng xe
traffic|vehicle_speed|km/h|Mean speed|Tốc độ trung bình
traffic|speed_p85|km/h|85th percentile speed|Tốc độ phân vị 85
traffic|occupancy|%|Occupancy|Độ chiếm dụng
traffic|headway|s|Headway|Giãn cách thời gian
traffic|queue_length|m|Queue length|Chiều dài hàng chờ
power|voltage|V|Voltage|Điện áp
power|battery_voltage|V|Battery voltage|Điện áp ắc quy
power|current|A|Current|Dòng điện
power|active_power|W|Active power|Công suất tác dụng
power|apparent_power|V.A|Apparent power|Công suất biểu kiến
power|reactive_power|var|Reactive power|Công suất phản kháng
power|power_factor|1|Power factor|Hệ số công suất
power|frequency|Hz|Frequency|Tần số
power|energy|kW.h|Energy (total)|Điện năng tích lũy|cumulative
power|battery_level|%|Battery level|Mức ắc quy
power|battery_temperature|Cel|Battery temperature|Nhiệt độ ắc quy
power|cabinet_temperature|Cel|Cabinet temperature|Nhiệt độ tủ
soil|soil_moisture|%|Soil moisture|Độ ẩm đất
soil|soil_temperature|Cel|Soil temperature|Nhiệt độ đất
soil|soil_conductivity|uS/cm|Soil conductivity|Độ dẫn điện của đất
soil|soil_ph|[pH]|Soil pH|pH đất
soil|soil_nitrogen|mg/kg|Soil nitrogen|Nitơ trong đất
soil|soil_phosphorus|mg/kg|Soil phosphorus|Phốt pho trong đất
soil|soil_potassium|mg/kg|Soil potassium|Kali trong đất
place|latitude|deg|Latitude|Vĩ độ
place|longitude|deg|Longitude|Kinh độ
place|altitude|m|Altitude|Độ cao
health|signal_strength|dB[mW]|Signal strength|Cường độ tín hiệu
health|uptime|s|Uptime|Thời gian hoạt động
health|clock_offset|s|Clock offset|Độ lệch đồng hồ
health|status|1|Status|Trạng thái
index|vn_aqi_hour|1|VN_AQI (hour)|VN_AQI giờ
index|vn_aqi_day|1|VN_AQI (day)|VN_AQI ngày
index|epa_aqi_hour|1|US EPA AQI (hour)|AQI giờ (US EPA)
index|epa_aqi_day|1|US EPA AQI (day)|AQI ngày (US EPA)
"""


def _read_table() -> dict[str, Quantity]:
    quantities = {}
    for line in _TABLE.strip().splitlines():
        domain, name, unit, en, vi, *marks = line.split("|")
        quantities[name] = Quantity(
            name, unit, domain, en, vi, "cumulative" in marks, "circular" in marks
        )
    return quantities


QUANTITIES: dict[str, Quantity] = _read_table()
UNKNOWN = "unknown"
"""The quantity of a metric whose birth does not name one."""
