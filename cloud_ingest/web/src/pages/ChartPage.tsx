// A chart of one series over a chosen range, with its limits and alerts.
import { useEffect, useState } from "preact/hooks";
import { addressOf, get, list } from "../api/client";
import type { Alert, Rule, Samples, Severity } from "../api/types";
import { arrivals, latest, now, openAlerts, stations } from "../live/state";
import { Chart } from "../charts/Chart";
import { basisOf } from "../alerts/legalBasis";
import { inForce, limitLines, limitText, splitFar } from "../charts/limitLines";
import { Show, useLoaded } from "../parts/loading";
import { QualityMark } from "../parts/marks";
import { Scroll } from "../parts/Scroll";
import { quantityName } from "../parts/names";
import { route, toChart, toCompare } from "../route";
import { duration, language, moment, number, text, unitSign, type TextKey } from "../texts";

const MINUTE = 60_000;
export const RANGES = { "10m": 10 * MINUTE, "1h": 60 * MINUTE, "24h": 1440 * MINUTE, "7d": 10080 * MINUTE, "30d": 43200 * MINUTE };
export type Range = keyof typeof RANGES;
const POINTS = 600;
/** Interval of reading again while the range ends now. */
export const REFRESH_MS: Record<Range, number> = { "10m": 3000, "1h": 5000, "24h": 30_000, "7d": 60_000, "30d": 60_000 };
/** Before the first series is known. */
const NOTHING_YET = new Promise<ChartData>(() => undefined);

const SEVERITIES: Severity[] = ["critical", "warning", "info"];

interface ChartData {
  samples: Samples;
  rules: Rule[];
  alerts: Alert[];
  start_ms: number;
  end_ms: number;
}

async function read(series: string, range: Range, around: number | null): Promise<ChartData> {
  const length = RANGES[range];
  const end_ms = around === null ? Date.now() : Math.min(Date.now(), around + length / 2);
  const start_ms = end_ms - length;
  const window = { start: start_ms, end: end_ms + 1 };
  const [samples, rules, alerts] = await Promise.all([
    get("GET /samples", { series, ...window, max_points: POINTS, envelope: true }) as Promise<Samples>,
    list("GET /rules", { series }),
    list("GET /alerts", { since: start_ms - 7 * 86400e3, station: series ? (latest.value.get(series)?.station ?? "") : "" }, 1000),
  ]);
  const own = alerts.filter((a) => a.series === series && a.state !== "pending" && a.start_ms < end_ms && (a.end_ms ?? end_ms) > start_ms);
  return { samples, rules, alerts: own, start_ms, end_ms };
}

/** The picture with the samples that arrived since it was read, if its points are raw samples. */
function follow(picture: ChartData, extra: [number, number | null][], length: number): ChartData {
  if (picture.samples.step_ms !== null || !extra.length) return picture;
  const last = picture.samples.time_ms.at(-1) ?? 0;
  const fresh = extra.filter(([t]) => t > last);
  const end_ms = Math.max(picture.end_ms, fresh.at(-1)?.[0] ?? 0);
  const s = picture.samples;
  return {
    ...picture,
    end_ms,
    start_ms: end_ms - length,
    samples: {
      ...s,
      time_ms: [...s.time_ms, ...fresh.map(([t]) => t)],
      value: [...s.value, ...fresh.map(([, v]) => v)],
      quality: [...s.quality, ...fresh.map(() => 2)],
      ...(s.min ? { min: [...s.min, ...fresh.map(([, v]) => v)] } : {}),
      ...(s.max ? { max: [...s.max, ...fresh.map(([, v]) => v)] } : {}),
    },
  };
}

function Table({ samples }: { samples: Samples }) {
  const rows = samples.time_ms.map((t, i) => [t, samples.value[i], samples.quality[i]] as const).reverse();
  return (
    <details>
      <summary>{text("chart.table")}</summary>
      <Scroll tall label={text("chart.table")}>
        <table>
          <thead>
            <tr>
              <th>{text("value.time")}</th>
              <th class="num">{text("value.value")} {unitSign(samples.unit)}</th>
              <th>{text("value.quality")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, 1000).map(([t, v, q]) => (
              <tr key={t}>
                <td>{moment(t)}</td>
                <td class="num">{number(v)}</td>
                <td><QualityMark quality={q ?? 2} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}

/** A rule's limits and their legal basis, in words. */
function RuleNote({ rule }: { rule: Rule }) {
  const notes = [rule.limits.map(limitText).join(" / "), rule.name[language.value]];
  if (rule.legal) notes.push(basisOf(rule.legal));
  if (rule.demonstration) notes.push(text("alerts.demonstration"));
  if (rule.legal && !rule.verified) notes.push(text("alerts.unverified"));
  return <li>{notes.join(" · ")}</li>;
}

function Explanation({ picture, rules, far }: { picture: ChartData; rules: Rule[]; far: boolean }) {
  const { step_ms } = picture.samples;
  return (
    <ul class="quiet notes">
      <li>{step_ms === null ? text("chart.raw") : text("chart.step", { step: duration(step_ms) })}. {text("chart.gap")}</li>
      {picture.samples.min && step_ms !== null && <li><i class="swatch band" /> {text("chart.band")}</li>}
      {SEVERITIES.filter((s) => picture.alerts.some((a) => a.severity === s)).map((s) => <li key={s}><i class={`swatch span ${s}`} /> {text("chart.alerts")} ({text(`severity.${s}`)})</li>)}
      {rules.length > 0 && <li>{text("chart.limits")}{far && ` (${text("chart.far")})`}:<ul>{rules.map((r) => <RuleNote key={r.rule} rule={r} />)}</ul></li>}
    </ul>
  );
}

export function Ranges({ range, go }: { range: Range; go: (range: Range) => void }) {
  return (
    <div class="ranges" role="group" aria-label={text("chart.range")}>
      {(Object.keys(RANGES) as Range[]).map((r) => (
        <button key={r} aria-pressed={r === range} onClick={() => go(r)}>{text(`chart.range.${r}` as TextKey)}</button>
      ))}
    </div>
  );
}

function Choice({ series, range }: { series: string; range: Range }) {
  const all = [...latest.value.values()].sort((a, b) => a.series.localeCompare(b.series));
  const here = latest.value.get(series)?.station ?? "";
  const go = (id: string, r: string) => (location.hash = toChart(id, { range: r }));
  return (
    <div class="choice">
      <label>
        {text("chart.station")}
        <select value={here} onChange={(e) => go(all.find((v) => v.station === e.currentTarget.value)?.series ?? series, range)}>
          {stations.value?.map((s) => <option key={s.id} value={s.id}>{s.name}</option>)}
        </select>
      </label>
      <label>
        {text("chart.choose")}
        <select value={series} onChange={(e) => go(e.currentTarget.value, range)}>
          {all.filter((v) => v.station === here).map((v) => (
            <option key={v.series} value={v.series}>{quantityName(v.quantity, v.metric)} – {v.device}/{v.metric}</option>
          ))}
        </select>
      </label>
      <Ranges range={range} go={(r) => go(series, r)} />
      <a class="button" href={toCompare([series], range)}>{text("compare.begin")}</a>
    </div>
  );
}

export function ChartPage() {
  const { query } = route.value;
  const first = [...latest.value.values()].find((v) => v.quantity === "pm2_5") ?? [...latest.value.values()][0];
  const series = query.get("series") ?? first?.series ?? "";
  const asked = query.get("range") ?? "1h";
  const range: Range = asked in RANGES ? (asked as Range) : "1h";
  const around = query.has("at") ? Number(query.get("at")) : null;
  const changes = [...openAlerts.value.values()].filter((a) => a.series === series).map((a) => `${a.id}${a.state}`).join();
  const loaded = useLoaded(() => (series ? read(series, range, around) : NOTHING_YET), [series, range, around], around === null ? REFRESH_MS[range] : undefined);
  const [extra, setExtra] = useState<[number, number | null][]>([]);
  useEffect(() => setExtra([]), [loaded.data]);
  useEffect(() => {
    const fresh = arrivals.value.filter((a) => a.series === series).map((a): [number, number | null] => [a.time_ms, a.value]);
    if (fresh.length && around === null) setExtra((old) => [...old, ...fresh].sort((a, b) => a[0] - b[0]));
  }, [arrivals.value]);
  useEffect(loaded.reload, [changes]);
  const value = latest.value.get(series);
  const name = value ? `${stations.value?.find((s) => s.id === value.station)?.name ?? value.station} – ${quantityName(value.quantity, value.metric)}` : series;
  if (!series) return <section><h1>{text("chart.title")}</h1><p>{text(stations.value ? "stations.none" : "loading")}</p></section>;
  return (
    <section>
      <h1>{text("chart.title")}</h1>
      <Choice series={series} range={range} />
      <Show of={loaded}>
        {(data) => {
          const picture = follow(data, extra, RANGES[range]);
          const { samples, start_ms, end_ms } = picture;
          const rules = inForce(picture.rules, start_ms, end_ms);
          const { near, far } = splitFar(limitLines(rules), samples.max ?? samples.value);
          const download = addressOf("GET /samples", { series, start: start_ms, end: Math.max(end_ms, now.peek()), format: "csv" });
          return (
            <>
              {samples.time_ms.length === 0 && <p>{text("chart.empty")}</p>}
              <Chart data={{ samples, name, limits: near, alerts: picture.alerts, start_ms, end_ms, interval_ms: typicalInterval(samples.time_ms), latest: around === null ? (value ?? null) : null }} />
              <Explanation picture={picture} rules={rules} far={far.length > 0} />
              <p><a href={download} download>{text("chart.csv")}</a> · <span class="quiet">{text("time.zone")}</span></p>
              <Table samples={samples} />
            </>
          );
        }}
      </Show>
    </section>
  );
}

/** The median distance between samples; what is much longer is a gap. */
export function typicalInterval(times: number[]): number {
  const steps = times.slice(1).map((t, i) => t - (times[i] ?? t)).sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}
