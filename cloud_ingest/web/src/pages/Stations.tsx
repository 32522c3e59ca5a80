// The first page: the stations on a map and the state of each.
import { useState } from "preact/hooks";
import type { Latest, Station } from "../api/types";
import { failure, latest, levelOf, now, stations, visibleAlerts, type Level } from "../live/state";
import { StationMap } from "../map/StationMap";
import { Failure } from "../parts/loading";
import { LevelMark } from "../parts/marks";
import { quantityName } from "../parts/names";
import { toStation } from "../route";
import { ago, number, text, unitSign } from "../texts";

/** What a station is mostly about comes first in its card. */
const FIRST = [
  "pm2_5", "pm10", "laeq", "vehicle_flow", "vehicle_speed", "cod", "ph", "turbidity", "flow_rate",
  "active_power", "no2", "o3", "air_temperature", "relative_humidity",
];
const IN_CARD = 4;

export function valuesOf(station: string): Latest[] {
  const rank = (v: Latest) => (FIRST.indexOf(v.quantity) + FIRST.length + 1) % (FIRST.length + 1);
  return [...latest.value.values()]
    .filter((v) => v.station === station)
    .sort((a, b) => rank(a) - rank(b) || a.series.localeCompare(b.series));
}

function firstValues(station: string): Latest[] {
  const seen = new Set<string>();
  const kind = (v: Latest) => (v.quantity === "unknown" ? v.series : v.quantity);
  return valuesOf(station)
    .filter((v) => v.value !== null && !seen.has(kind(v)) && seen.add(kind(v)))
    .slice(0, IN_CARD);
}

function Card({ station }: { station: Station }) {
  const level = levelOf(station);
  const alerts = visibleAlerts.value.filter((a) => a.station === station.id).length;
  return (
    <li>
      <a class={`card ${level}`} href={toStation(station.id)}>
        <span class="card-head">
          <LevelMark level={level} />
          <strong dir="auto">{station.name}</strong>
          <span class="quiet">{ago(station.last_seen_ms, now.value)}</span>
        </span>
        <span class="card-values">
          {firstValues(station.id).map((v) => (
            <span key={v.series} class="reading">
              <span class="quiet">{quantityName(v.quantity, v.metric)}</span>
              <b>
                {number(v.value)} <small>{unitSign(v.unit)}</small>
              </b>
            </span>
          ))}
        </span>
        <span class={alerts ? `card-alerts ${level}` : "quiet"}>
          {alerts ? text("station.open_alerts", { n: alerts }) : text("station.no_alerts")}
        </span>
      </a>
    </li>
  );
}

const LEVELS: Level[] = ["ok", "info", "warning", "critical", "offline"];

export function Stations() {
  const [wanted, setWanted] = useState("");
  const all = stations.value;
  const matching = (all ?? []).filter((s) =>
    `${s.name} ${s.id}`.toLocaleLowerCase("vi").includes(wanted.toLocaleLowerCase("vi")),
  );
  return (
    <section class="stations">
      <div class="side">
        <h1>{text("stations.title")}</h1>
        {failure.value && <Failure reason={failure.value} />}
        {all === null && !failure.value && <p class="quiet">{text("loading")}</p>}
        {all?.length === 0 && <p>{text("stations.none")}</p>}
        {(all?.length ?? 0) > 6 && (
          <input type="search" value={wanted} placeholder={text("stations.search")} aria-label={text("stations.search")}
            onInput={(e) => setWanted(e.currentTarget.value)} />
        )}
        <ul class="cards">
          {matching.map((s) => (
            <Card key={s.id} station={s} />
          ))}
        </ul>
      </div>
      <div class="map-box">
        <StationMap />
        <ul class="legend" aria-label={text("legend.title")}>
          {LEVELS.map((level) => (
            <li key={level}>
              <LevelMark level={level} /> {text(`legend.${level}`)}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
