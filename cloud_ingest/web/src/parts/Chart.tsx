// A chart of one series: limits as lines, alerts as spans, gaps left open; readable by keyboard.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Alert, Samples } from "../api/types";
import { clock, language, moment, number, text, unitSign } from "../texts";
import { limits, spans, type Line } from "./decorate";

export interface Picture {
  samples: Samples;
  name: string;
  lines: Line[];
  alerts: Alert[];
  start_ms: number;
  end_ms: number;
  interval_ms: number;
  /** The newest measurement, where the picture reaches up to now. */
  newest: { time_ms: number; value: number | null } | null;
}

type Column = (number | null)[];
type Draws = () => Picture;

/** A gap longer than this many steps breaks the line. */
const GAP_STEPS = 2.5;
export const HOUR_MS = 3600e3;
const FEW_POINTS = 80;
/** Distances between the marks of the time axis, in seconds. */
export const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
/** Vietnam is this far ahead of UTC; marks of days stand at its midnight. */
const ZONE_S = 7 * 3600;

/** uPlot's columns (seconds, mean, min, max) with an empty point in every gap. */
export function columns(samples: Samples, interval_ms: number): [number[], Column, Column, Column] {
  const step = samples.step_ms ?? interval_ms;
  const out: [number[], Column, Column, Column] = [[], [], [], []];
  let before: number | null = null;
  samples.time_ms.forEach((t, i) => {
    if (before !== null && step > 0 && t - before > step * GAP_STEPS) {
      out[0].push((before + step) / 1000);
      for (const column of out.slice(1)) (column as Column).push(null);
    }
    out[0].push(t / 1000);
    out[1].push(samples.value[i] ?? null);
    out[2].push(samples.min?.[i] ?? samples.value[i] ?? null);
    out[3].push(samples.max?.[i] ?? samples.value[i] ?? null);
    before = t;
  });
  return out;
}

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Marks of the time axis at round times of Vietnam's clock. */
export function timeSplits(low: number, high: number, step: number): number[] {
  const first = Math.ceil((low + ZONE_S) / step) * step - ZONE_S;
  const out: number[] = [];
  for (let t = first; t <= high; t += step) out.push(t);
  return out;
}

export function timeText(picture: { start_ms: number; end_ms: number }, step: number): (s: number) => string {
  const length = picture.end_ms - picture.start_ms;
  if (length <= 36 * HOUR_MS) return (s) => clock(s * 1000, step % 60 !== 0);
  return (s) => (step % 86400 === 0 ? moment(s * 1000).slice(0, 5) : `${moment(s * 1000).slice(0, 5)} ${clock(s * 1000, false)}`);
}

function options(draws: Draws, width: number, height: number): uPlot.Options {
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, font: '12px "Be Vietnam Pro", sans-serif' };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: () => [draws().start_ms / 1000, draws().end_ms / 1000] },
      y: {
        range: (_, low, high) => {
          const limits = draws().lines.map((l) => l.value);
          const from = Math.min(low ?? Infinity, ...limits);
          const to = Math.max(high ?? -Infinity, ...limits);
          if (from > to) return [0, 1];
          const space = (to - from || Math.abs(to) || 1) * 0.1;
          return [from >= 0 && from - space < 0 ? 0 : from - space, to + space];
        },
      },
    },
    axes: [
      {
        ...axis, size: 36, incrs: TIME_STEPS, space: draws().end_ms - draws().start_ms > 36 * HOUR_MS ? 90 : 75,
        splits: (_, __, low, high, step) => timeSplits(low, high, step),
        values: (_, splits, __, ___, step) => splits.map(timeText(draws(), step)),
      },
      { ...axis, size: (_, values) => 22 + 7 * Math.max(2, ...(values ?? []).map((v) => v.length)), values: (_, splits) => splits.map((v) => number(v)) },
    ],
    series: [
      {},
      { stroke: colour("--accent"), width: 2, points: { show: () => draws().samples.value.length < FEW_POINTS, size: 5 } },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: colour("--band") }],
    hooks: {
      drawClear: [(plot) => spans(plot, draws().alerts, draws().end_ms)],
      drawAxes: [(plot) => limits(plot, draws().lines)],
    },
  };
}

export function Chart({ picture }: { picture: Picture }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(picture);
  newest.current = picture;
  const [at, setAt] = useState<number | null>(null);
  const { samples } = picture;
  const count = samples.time_ms.length;
  const data = () => columns(newest.current.samples, newest.current.interval_ms);

  useEffect(() => {
    const holder = box.current;
    if (!holder) return;
    const draw = () => {
      plot.current?.destroy();
      const width = holder.clientWidth;
      const made = new uPlot(options(() => newest.current, width, Math.min(420, Math.max(240, width * 0.42))), data(), holder);
      made.over.addEventListener("mousemove", () => {
        const left = made.cursor.left ?? -1;
        setAt(left < 0 ? null : nearest(newest.current.samples.time_ms, made.posToVal(left, "x") * 1000));
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
  }, [samples.series, picture.end_ms - picture.start_ms, language.value]);
  useEffect(() => plot.current?.setData(data()), [picture]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -count, End: count }[event.key];
    if (step === undefined || !count) return;
    event.preventDefault();
    const next = Math.min(count - 1, Math.max(0, (at ?? count - 1) + step));
    setAt(next);
    plot.current?.setCursor({ left: plot.current.valToPos((samples.time_ms[next] ?? 0) / 1000, "x"), top: 10 }, false);
  };
  const shown = Math.min(at ?? count - 1, count - 1);
  const live = at === null ? picture.newest : null;
  const time = live?.time_ms ?? samples.time_ms[shown];
  const value = live ? live.value : samples.value[shown];
  return (
    <figure class="chart" aria-label={picture.name}>
      <figcaption>
        <b dir="auto">{picture.name}</b> <span class="quiet">{unitSign(samples.unit)}</span>
        <span class="read" aria-live={at === null ? "off" : "polite"}>
          {time !== undefined && text("chart.read", { time: moment(time), value: `${number(value)} ${unitSign(samples.unit)}` })}
        </span>
      </figcaption>
      <div class="plot" ref={box} tabIndex={0} role="img" aria-label={`${picture.name}. ${text("chart.keys")}`} onKeyDown={move} onBlur={() => setAt(null)} />
    </figure>
  );
}

export function nearest(times: number[], time: number): number | null {
  if (!times.length) return null;
  let low = 0;
  let high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle;
    else high = middle;
  }
  return time - (times[low] ?? 0) < (times[high] ?? 0) - time ? low : high;
}
