// Several series in one chart, up to ten at once and two units.
import { useState } from "preact/hooks";
import { addressOf, get } from "../api/client";
import type { Latest, PageSamples, Samples } from "../api/types";
import { latest, stations } from "../live/state";
import { CompareChart, MOST_LINES, MOST_UNITS, type ComparedLine } from "../charts/CompareChart";
import { Show, useLoaded } from "../parts/loading";
import { quantityName, stationName } from "../parts/names";
import { route, toChart, toCompare } from "../route";
import { duration, text } from "../texts";
import { valuesOf } from "./Stations";
import { Ranges, RANGES, REFRESH_MS, typicalInterval, type Range } from "./ChartPage";

const POINTS = 400;

interface ChartData {
  samples: Samples[];
  start_ms: number;
  end_ms: number;
}

const isPage = (answer: Samples | PageSamples): answer is PageSamples => "items" in answer;

async function read(series: string[], range: Range): Promise<ChartData> {
  const end_ms = Date.now();
  const start_ms = end_ms - RANGES[range];
  if (!series.length) return { samples: [], start_ms, end_ms };
  const answer = await get("GET /samples", { series, start: start_ms, end: end_ms + 1, max_points: POINTS, envelope: true });
  return { samples: isPage(answer) ? answer.items : [answer], start_ms, end_ms };
}

function nameOf(series: string, quantity: string): string {
  const value = latest.value.get(series);
  return value ? `${stationName(value.station)} – ${quantityName(quantity, value.metric)}` : series;
}

/** The lines of a chart, cached for its data so that the chart is not redrawn. */
const cachedLines = new WeakMap<ChartData, Map<string, ComparedLine[]>>();
function linesOf(data: ChartData, names: string[]): ComparedLine[] {
  const byNames = cachedLines.get(data) ?? new Map<string, ComparedLine[]>();
  cachedLines.set(data, byNames);
  const key = names.join("\n");
  const lines = byNames.get(key) ?? data.samples.map((samples, i) => ({ samples, name: names[i] ?? samples.series, interval_ms: typicalInterval(samples.time_ms) }));
  byNames.set(key, lines);
  return lines;
}

/** The form that adds lines: one series, or all series of the same quantity. */
function AddSeriesForm({ chosen, add }: { chosen: string[]; add: (series: string[]) => void }) {
  const all = [...latest.value.values()].sort((a, b) => a.series.localeCompare(b.series));
  const shown = chosen.map((s) => latest.value.get(s)).filter((v) => v !== undefined);
  const units = new Set(shown.map((v) => v.unit));
  const [station, setStation] = useState("");
  const [series, setSeries] = useState("");
  const here = station || (shown[0]?.station ?? stations.value?.[0]?.id ?? "");
  const fits = (v: Latest) => !chosen.includes(v.series) && (units.size < MOST_UNITS || units.has(v.unit));
  const offered = valuesOf(here).filter(fits);
  const wanted = offered.find((v) => v.series === series) ?? offered[0];
  const alike = all.filter((v) => fits(v) && v.quantity === shown[0]?.quantity).slice(0, MOST_LINES - chosen.length);
  if (chosen.length >= MOST_LINES) return <p class="quiet note">{text("compare.full", { n: MOST_LINES })}</p>;
  return (
    <form class="choice" onSubmit={(e) => { e.preventDefault(); if (wanted) add([wanted.series]); }}>
      <label>{text("chart.station")}
        <select value={here} onChange={(e) => setStation(e.currentTarget.value)}>
          {stations.value?.map((s) => <option key={s.id} value={s.id}>{s.name}</option>)}
        </select>
      </label>
      <label>{text("chart.choose")}
        <select value={wanted?.series ?? ""} onChange={(e) => setSeries(e.currentTarget.value)}>
          {offered.map((v) => <option key={v.series} value={v.series}>{quantityName(v.quantity, v.metric)} – {v.device}/{v.metric}</option>)}
        </select>
      </label>
      <button disabled={!wanted}>{text("compare.add")}</button>
      {alike.length > 0 && shown[0] && (
        <button type="button" onClick={() => add(alike.map((v) => v.series))}>{text("compare.alike", { n: alike.length, quantity: quantityName(shown[0].quantity, shown[0].metric) })}</button>
      )}
    </form>
  );
}

export function ComparePage() {
  const { query } = route.value;
  const chosen = [...new Set(query.getAll("series"))].filter(Boolean).slice(0, MOST_LINES);
  const asked = query.get("range") ?? "24h";
  const range: Range = asked in RANGES ? (asked as Range) : "24h";
  const loaded = useLoaded(() => read(chosen, range), [chosen.join("\n"), range], Math.max(REFRESH_MS[range], 5000));
  const go = (series: string[], r: Range = range) => (location.hash = toCompare(series, r));
  return (
    <section>
      <h1>{text("compare.title")}</h1>
      {chosen[0] && <p><a href={toChart(chosen[0], { range })}>← {text("compare.back")}</a></p>}
      <div class="choice"><Ranges range={range} go={(r) => go(chosen, r)} /></div>
      <AddSeriesForm chosen={chosen} add={(more) => go([...chosen, ...more])} />
      <Show of={loaded}>
        {(data) => {
          const lines = linesOf(data, data.samples.map((s) => nameOf(s.series, s.quantity)));
          const step = data.samples.find((s) => s.step_ms !== null)?.step_ms;
          if (!lines.length) return <p>{text("compare.none")}</p>;
          return (
            <>
              <CompareChart lines={lines} start_ms={data.start_ms} end_ms={data.end_ms} remove={(s) => go(chosen.filter((c) => c !== s))} />
              <ul class="quiet notes">
                <li>{step ? `${text("chart.step", { step: duration(step) })}. ${text("compare.bands")}` : `${text("chart.raw")}.`} {text("chart.gap")}</li>
                <li>{text("compare.note")} {text("time.zone")}</li>
              </ul>
              <p><a href={addressOf("GET /samples", { series: chosen, start: data.start_ms, end: data.end_ms, format: "csv" })} download>{text("chart.csv")}</a></p>
            </>
          );
        }}
      </Show>
    </section>
  );
}
