// Several series in one chart, each with a line and a band from lowest to highest.
import uPlot from "uplot";
import type { Samples } from "../api/types";
import { Scroll } from "../parts/Scroll";
import { language, moment, number, text, unitSign } from "../texts";
import { colour, columns, GAP_STEPS, nearest, timeAxis, valueAxis } from "./timeAxis";
import { usePlot } from "./usePlot";

/** A line of the chart; `interval_ms` is its usual distance between samples. */
export interface ComparedLine {
  samples: Samples;
  name: string;
  interval_ms: number;
}

interface Props {
  lines: ComparedLine[];
  start_ms: number;
  end_ms: number;
}

export const MOST_LINES = 10;
export const MOST_UNITS = 2;
/** Lines differ by colour and by dashes, since ten colours are hard to tell apart. */
const DASHES = [[], [8, 4], [2, 4], [12, 4, 2, 4], [4, 2]];
const BAND_OPACITY = "26";

const strokeOf = (i: number) => colour(`--line-${i % MOST_LINES}`);
const dashOf = (i: number) => DASHES[i % DASHES.length] ?? [];

export const unitsOf = (lines: { samples: Samples }[]): string[] => [...new Set(lines.map((l) => l.samples.unit))];

/** One table of all lines: time, then mean, lowest and highest of each line. */
function joined(lines: ComparedLine[]): uPlot.AlignedData {
  return uPlot.join(lines.map((l) => columns(l.samples, l.interval_ms) as uPlot.AlignedData), lines.map(() => [0, 1, 1, 1]));
}

function options(props: Props, width: number): uPlot.Options {
  const { lines, start_ms, end_ms } = props;
  const units = unitsOf(lines);
  return {
    width, height: Math.min(460, Math.max(260, width * 0.42)), legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: () => [start_ms / 1000, end_ms / 1000] }, ...Object.fromEntries(units.map((u) => [`y ${u}`, {}])) },
    axes: [
      timeAxis(() => props),
      ...units.map((unit, i): uPlot.Axis => ({
        ...valueAxis(), scale: `y ${unit}`, side: i ? 1 : 3, label: unitSign(unit), labelSize: 20, ...(i ? { grid: { show: false } } : {}),
      })),
    ],
    series: [
      {},
      ...lines.flatMap((line, i): uPlot.Series[] => {
        const scale = `y ${line.samples.unit}`;
        const edge = { scale, stroke: "transparent", points: { show: false } };
        return [{ scale, stroke: strokeOf(i), width: 2, dash: dashOf(i), points: { show: false } }, edge, edge];
      }),
    ],
    bands: lines.map((_, i) => ({ series: [3 * i + 3, 3 * i + 2], fill: strokeOf(i) + BAND_OPACITY })),
  };
}

/** The value of a line at a time, or null if it has none near it. */
function valueAt(line: ComparedLine, time_ms: number): number | null {
  const { samples, interval_ms } = line;
  const i = nearest(samples.time_ms, time_ms);
  if (i === null || Math.abs((samples.time_ms[i] ?? 0) - time_ms) > GAP_STEPS * (samples.step_ms ?? interval_ms)) return null;
  return samples.value[i] ?? null;
}

const most = (values: (number | null)[], pick: (a: number, b: number) => number) =>
  values.reduce<number | null>((found, v) => (v === null ? found : found === null ? v : pick(found, v)), null);

function Swatch({ i }: { i: number }) {
  return (
    <svg class="stroke" viewBox="0 0 36 8" width="36" height="8" aria-hidden="true">
      <line x1="0" x2="36" y1="4" y2="4" stroke={`var(--line-${i % MOST_LINES})`} stroke-width="3" stroke-dasharray={dashOf(i).join(" ")} />
    </svg>
  );
}

/** A row for each line: its value at the time that is being read, its lowest and highest value. */
function Legend({ lines, at_ms, remove }: { lines: ComparedLine[]; at_ms: number | null; remove: (series: string) => void }) {
  return (
    <Scroll label={text("compare.lines")}>
      <table class="compared">
        <thead>
          <tr>
            <th><span class="hidden">{text("compare.line")}</span></th><th>{text("chart.choose")}</th>
            <th class="num">{at_ms === null ? text("compare.last") : moment(at_ms)}</th>
            <th class="num">{text("compare.lowest")}</th><th class="num">{text("compare.highest")}</th><th><span class="hidden">{text("compare.remove")}</span></th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line, i) => {
            const { samples } = line;
            const unit = unitSign(samples.unit);
            const value = at_ms === null ? (samples.value.at(-1) ?? null) : valueAt(line, at_ms);
            return (
              <tr key={samples.series}>
                <td><Swatch i={i} /></td>
                <td class="long"><b dir="auto">{line.name}</b><small class="quiet" translate={false}>{samples.series}</small></td>
                <td class="num"><b>{number(value)}</b> {unit}</td>
                <td class="num">{number(most(samples.min ?? samples.value, Math.min))}</td><td class="num">{number(most(samples.max ?? samples.value, Math.max))}</td>
                <td><button onClick={() => remove(samples.series)} aria-label={text("compare.remove_one", { name: line.name })}>×</button></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}

export function CompareChart({ remove, ...props }: Props & { remove: (series: string) => void }) {
  const { lines, start_ms, end_ms } = props;
  const times = [...new Set(lines.flatMap((l) => l.samples.time_ms))].sort((a, b) => a - b);
  const { at_ms, holder } = usePlot(
    { options: (width) => options(props, width), data: () => (lines.length ? joined(lines) : null), times },
    [lines, start_ms, end_ms, language.value],
  );
  const names = lines.map((l) => l.name).join(", ");
  return (
    <>
      <figure class="chart" aria-label={text("compare.title")}>
        <div class="plot" {...holder} aria-label={`${names}. ${text("chart.keys")}`} />
      </figure>
      <Legend lines={lines} at_ms={at_ms} remove={remove} />
    </>
  );
}
