// The columns and the time axis that all charts share.
import type uPlot from "uplot";
import type { Samples } from "../api/types";
import { UTC_OFFSET_MS } from "../parts/localTime";
import { clock, moment, number } from "../texts";

export type Column = (number | null)[];

/** A gap longer than this many steps breaks the line. */
export const GAP_STEPS = 2.5;
const HOUR_MS = 3600e3;
/** Distances between the marks of the time axis, in seconds. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
/** The marks of days are at local midnight. */
const ZONE_S = UTC_OFFSET_MS / 1000;
const FONT = '12px "Be Vietnam Pro", sans-serif';

export interface Span {
  start_ms: number;
  end_ms: number;
}

/** The value of a CSS variable. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

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

/** Marks of the time axis at round times of Vietnam's clock. */
function timeSplits(low: number, high: number, step: number): number[] {
  const first = Math.ceil((low + ZONE_S) / step) * step - ZONE_S;
  const out: number[] = [];
  for (let t = first; t <= high; t += step) out.push(t);
  return out;
}

function timeText(span: Span, step: number): (s: number) => string {
  if (span.end_ms - span.start_ms <= 36 * HOUR_MS) return (s) => clock(s * 1000, step % 60 !== 0);
  return (s) => (step % 86400 === 0 ? moment(s * 1000).slice(0, 5) : `${moment(s * 1000).slice(0, 5)} ${clock(s * 1000, false)}`);
}

/** The time axis over a span, which is read again at every drawing. */
export function timeAxis(span: () => Span): uPlot.Axis {
  return {
    stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, font: FONT,
    size: 36, incrs: TIME_STEPS, space: span().end_ms - span().start_ms > 36 * HOUR_MS ? 90 : 75,
    splits: (_, __, low, high, step) => timeSplits(low, high, step),
    values: (_, splits, __, ___, step) => splits.map(timeText(span(), step)),
  };
}

/** An axis of values, as wide as its longest number. */
export function valueAxis(): uPlot.Axis {
  return {
    stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, font: FONT, labelFont: FONT,
    size: (_, values) => 22 + 7 * Math.max(2, ...(values ?? []).map((v) => v.length)),
    values: (_, splits) => splits.map((v) => number(v)),
  };
}

/** The index of the time nearest to `time`; `times` are sorted. */
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
