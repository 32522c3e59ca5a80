// One station: latest values, air-quality index, open alerts.
import { get } from "../api/client";
import type { Index, Latest } from "../api/types";
import { levelOf, now, stations, visibleAlerts } from "../live/state";
import { AlertTable } from "../alerts/AlertTable";
import { useLoaded } from "../parts/loading";
import { LevelMark, QualityMark } from "../parts/marks";
import { quantityName } from "../parts/names";
import { UserField } from "../parts/user";
import { Scroll } from "../parts/Scroll";
import { toChart, toReport, toSilences } from "../route";
import { ago, clock, language, moment, number, text, unitSign } from "../texts";
import { valuesOf } from "./Stations";

const INDEX_EVERY_MS = 60_000;
const PARTICLES = ["pm2_5", "pm10"];

function IndexTile({ station, period }: { station: string; period: Index["period"] }) {
  const read = () => get("GET /index", { station, kind: "vn_aqi", period }) as Promise<Index>;
  const { data } = useLoaded(read, [station, period], INDEX_EVERY_MS);
  if (!data) return null;
  const { level } = data;
  return (
    <p class="index">
      <span class="quiet">{text(`station.index.${period}`, { time: period === "hour" ? clock(data.time_ms, false) : moment(data.time_ms - 1).slice(0, 5) })}</span>
      {data.value === null || !level ? (
        <span>{text("station.index.none")}</span>
      ) : (
        <>
          <b class="index-value">
            <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
              <rect width="12" height="12" rx="2" fill={level.colour} stroke="currentColor" />
            </svg>{" "}
            {data.value}
          </b>
          <span>{level[language.value]}</span>
          {data.dominant && <span class="quiet">{text("station.index.dominant", { name: quantityName(data.dominant) })}</span>}
        </>
      )}
    </p>
  );
}

function Row({ value }: { value: Latest }) {
  return (
    <tr class={value.online ? "" : "stale"}>
      <td class="long" dir="auto">{quantityName(value.quantity, value.metric)}</td>
      <td class="num">
        <b>{number(value.value)}</b> {unitSign(value.unit)}
      </td>
      <td title={moment(value.time_ms)}>{ago(value.time_ms, now.value)}</td>
      <td>
        <QualityMark quality={value.quality} />
      </td>
      <td class="wide-only">
        <bdi>{value.device}</bdi> · <bdi>{value.metric}</bdi>
      </td>
      <td>
        <a href={toChart(value.series)}>{text("value.chart")}</a>
      </td>
    </tr>
  );
}

export function StationPage({ id }: { id: string }) {
  const station = stations.value?.find((s) => s.id === id);
  if (!stations.value) return <p class="quiet">{text("loading")}</p>;
  if (!station) return <p>{text("notfound")}</p>;
  const values = valuesOf(id);
  const alerts = visibleAlerts.value.filter((a) => a.station === id);
  return (
    <section>
      <p>
        <a href="#/">← {text("station.back")}</a>
      </p>
      <h1>
        <LevelMark level={levelOf(station)} /> <bdi>{station.name}</bdi>
      </h1>
      <p class="quiet">
        {station.online ? text("station.online") : text("station.offline")} ·{" "}
        {text("station.last_seen", { time: ago(station.last_seen_ms, now.value) })}
      </p>
      {values.some((v) => PARTICLES.includes(v.quantity)) && <div class="links"><IndexTile station={id} period="hour" /><IndexTile station={id} period="day" /></div>}
      <p class="links">
        <a href={toSilences(id)}>{text("station.silence")}</a>
        <a href={toReport(id)}>{text("station.report")}</a>
      </p>
      {alerts.length > 0 && (
        <>
          <div class="choice">
            <UserField />
          </div>
          <AlertTable alerts={alerts} />
        </>
      )}
      <h2>{text("station.values")}</h2>
      <Scroll label={text("station.values")}>
        <table>
          <thead>
            <tr>
              <th>{text("value.quantity")}</th>
              <th class="num">{text("value.value")}</th>
              <th>{text("value.time")}</th>
              <th>{text("value.quality")}</th>
              <th class="wide-only">{text("value.device")}</th>
              <th>
                <span class="hidden">{text("value.chart")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {values.map((v) => (
              <Row key={v.series} value={v} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
