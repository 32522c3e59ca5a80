// Several series in one chart: a line and a band from lowest to highest each; read by mouse or keys.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Samples } from "../api/types";
import { language, moment, number, text, unitSign } from "../texts";
import { colour, columns, HOUR_MS, nearest, TIME_STEPS, timeSplits, timeText } from "./Chart";
import { Scroll } from "./Scroll";

/** A line that is compared; `interval_ms` is its usual distance between samples. */
export interface Compared {
  samples: Samples;
  name: string;
  interval_ms: number;
}

interface Props {
  lines: Compared[];
  start_ms: number;
  end_ms: number;
}

export const MOST_LINES = 10;
export const MOST_UNITS = 2;
/** Lines differ by colour and by dashes: no one must tell ten colours apart. */
const DASHES = [[], [8, 4], [2, 4], [12, 4, 2, 4], [4, 2]];
const BAND_OPACITY = "26";

const strokeOf = (i: number) => colour(`--line-${i % MOST_LINES}`);
const dashOf = (i: number) => DASHES[i % DASHES.length] ?? [];

export const unitsOf = (lines: { samples: Samples }[]): string[] => [...new Set(lines.map((l) => l.samples.unit))];

/** One table for all lines: time, then mean, lowest and highest of each; times of others are skipped. */
function joined(lines: Compared[]): uPlot.AlignedData {
  return uPlot.join(lines.map((l) => columns(l.samples, l.interval_ms) as uPlot.AlignedData), lines.map(() => [0, 1, 1, 1]));
}

function options(props: Props, width: number, height: number): uPlot.Options {
  const { lines, start_ms, end_ms } = props;
  const units = unitsOf(lines);
  const axis = { stroke: colour("--quiet"), font: '12px "Be Vietnam Pro", sans-serif' };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width, height, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: false, range: () => [start_ms / 1000, end_ms / 1000] }, ...Object.fromEntries(units.map((u) => [`y ${u}`, {}])) },
    axes: [
      {
        ...axis, grid, size: 36, incrs: TIME_STEPS, space: end_ms - start_ms > 36 * HOUR_MS ? 90 : 75,
        splits: (_, __, low, high, step) => timeSplits(low, high, step),
        values: (_, splits, __, ___, step) => splits.map(timeText(props, step)),
      },
      ...units.map((unit, i) => ({
        ...axis, scale: `y ${unit}`, side: i ? 1 : 3, grid: i ? { show: false } : grid, label: unitSign(unit), labelSize: 20, labelFont: axis.font,
        size: (_: uPlot, values: string[] | null) => 22 + 7 * Math.max(2, ...(values ?? []).map((v) => v.length)),
        values: (_: uPlot, splits: number[]) => splits.map((v) => number(v)),
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

/** The value of a line at a time, if it has one near there. */
function valueAt(line: Compared, time_ms: number): number | null {
  const { samples, interval_ms } = line;
  const i = nearest(samples.time_ms, time_ms);
  if (i === null || Math.abs((samples.time_ms[i] ?? 0) - time_ms) > 2.5 * (samples.step_ms ?? interval_ms)) return null;
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

/** Which line is which, with its value at the time that is read, and its lowest and highest. */
function Legend({ lines, at_ms, remove }: { lines: Compared[]; at_ms: number | null; remove: (series: string) => void }) {
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
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const { lines, start_ms, end_ms } = props;
  const times = [...new Set(lines.flatMap((l) => l.samples.time_ms))].sort((a, b) => a - b);

  useEffect(() => {
    const holder = box.current;
    if (!holder || !lines.length) return;
    const draw = () => {
      plot.current?.destroy();
      const width = holder.clientWidth;
      const made = new uPlot(options(props, width, Math.min(460, Math.max(260, width * 0.42))), joined(lines), holder);
      made.over.addEventListener("mousemove", () => {
        const left = made.cursor.left ?? -1;
        const i = left < 0 ? null : nearest(times, made.posToVal(left, "x") * 1000);
        setAt(i === null ? null : (times[i] ?? null));
      });
      made.over.addEventListener("mouseleave", () => setAt(null));
      plot.current = made;
    };
    draw();
    let before = holder.clientWidth;
    const watch = new ResizeObserver(() => {
      if (holder.clientWidth === before) return;
      before = holder.clientWidth;
      draw();
    });
    watch.observe(holder);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      watch.disconnect();
      theme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [lines, start_ms, end_ms, language.value]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -times.length, End: times.length }[event.key];
    if (step === undefined || !times.length) return;
    event.preventDefault();
    const here = at === null ? times.length - 1 : (nearest(times, at) ?? 0);
    const next = times[Math.min(times.length - 1, Math.max(0, here + step))] ?? 0;
    setAt(next);
    plot.current?.setCursor({ left: plot.current.valToPos(next / 1000, "x"), top: 10 }, false);
  };
  const names = lines.map((l) => l.name).join(", ");
  return (
    <>
      <figure class="chart" aria-label={text("compare.title")}>
        <div class="plot" ref={box} tabIndex={0} role="img" aria-label={`${names}. ${text("chart.keys")}`} onKeyDown={move} onBlur={() => setAt(null)} />
      </figure>
      <Legend lines={lines} at_ms={at} remove={remove} />
    </>
  );
}
