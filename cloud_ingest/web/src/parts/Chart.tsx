// A chart of one series: limits as lines, alerts as spans, gaps left open; readable by keyboard.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Alert, Limit, Samples } from "../api/types";
import { clock, language, moment, number, text, unitSign } from "../texts";

interface Props {
  samples: Samples;
  name: string;
  limits: Limit[];
  alerts: Alert[];
  start_ms: number;
  end_ms: number;
  interval_ms: number;
}

type Column = (number | null)[];

/** A gap longer than this many steps breaks the line. */
const GAP_STEPS = 2.5;

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

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Alert spans and limit lines, drawn under the data. */
function decorate(plot: uPlot, props: Props): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const x = (ms: number) => Math.min(Math.max(plot.valToPos(ms / 1000, "x", true), left), left + width);
  ctx.save();
  for (const alert of props.alerts)
    for (const [from, to] of alert.spans.length ? alert.spans : [[alert.start_ms, alert.end_ms] as const]) {
      const a = x(from);
      const b = x(to ?? props.end_ms);
      if (b <= left || a >= left + width) continue;
      ctx.fillStyle = colour(`--span-${alert.severity}`);
      ctx.fillRect(a, top, Math.max(b - a, 2), height);
    }
  ctx.font = `${12 * devicePixelRatio}px "Be Vietnam Pro", sans-serif`;
  for (const limit of props.limits) {
    const y = plot.valToPos(limit.value, "y", true);
    if (y < top || y > top + height) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(`--${limit.severity}`);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillText(`${limit.label[language.value]} ${number(limit.value)}`, left + 6 * devicePixelRatio, y - 5 * devicePixelRatio);
  }
  ctx.restore();
}

function options(props: Props, width: number, height: number): uPlot.Options {
  const long = props.end_ms - props.start_ms > 36 * 3600e3;
  const time = (s: number) => (long ? moment(s * 1000).slice(0, 5) + " " + clock(s * 1000, false) : clock(s * 1000, props.end_ms - props.start_ms < 2 * 3600e3));
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, font: '12px "Be Vietnam Pro", sans-serif' };
  const limits = props.limits.map((l) => l.value);
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: () => [props.start_ms / 1000, props.end_ms / 1000] },
      y: {
        range: (_, low, high) => {
          const from = Math.min(low ?? 0, ...limits);
          const to = Math.max(high ?? 1, ...limits);
          const space = (to - from || Math.abs(to) || 1) * 0.08;
          return [from - space, to + space];
        },
      },
    },
    axes: [
      { ...axis, values: (_, splits) => splits.map(time), space: long ? 110 : 80 },
      { ...axis, size: 64, values: (_, splits) => splits.map((v) => number(v)) },
    ],
    series: [
      {},
      { stroke: colour("--accent"), width: 2, points: { show: props.samples.value.length < 80, size: 5 } },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: colour("--band") }],
    hooks: { drawClear: [(plot) => decorate(plot, props)] },
  };
}

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const { samples } = props;
  const count = samples.time_ms.length;

  useEffect(() => {
    const holder = box.current;
    if (!holder) return;
    const draw = () => {
      plot.current?.destroy();
      const width = holder.clientWidth;
      const made = new uPlot(options(props, width, Math.min(420, Math.max(240, width * 0.42))), columns(samples, props.interval_ms), holder);
      made.over.addEventListener("mousemove", () => {
        const x = made.cursor.left !== undefined && made.cursor.left >= 0 ? made.posToVal(made.cursor.left, "x") * 1000 : null;
        setAt(x === null ? null : nearest(samples.time_ms, x));
      });
      plot.current = made;
    };
    draw();
    let before = holder.clientWidth;
    const watch = new ResizeObserver(() => {
      if (holder.clientWidth !== before) {
        before = holder.clientWidth;
        draw();
      }
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
  }, [samples, props.limits, props.alerts, props.start_ms, props.end_ms, language.value]);

  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -count, End: count }[event.key];
    if (step === undefined || !count) return;
    event.preventDefault();
    const next = Math.min(count - 1, Math.max(0, (at ?? count - 1) + step));
    setAt(next);
    plot.current?.setCursor({ left: plot.current.valToPos((samples.time_ms[next] ?? 0) / 1000, "x"), top: 10 });
  };
  const shown = at ?? count - 1;
  const time = samples.time_ms[shown];
  return (
    <figure class="chart">
      <figcaption>
        <b>{props.name}</b> <span class="quiet">{unitSign(samples.unit)}</span>
        <span class="read" aria-live="polite">
          {time !== undefined && text("chart.read", { time: moment(time), value: `${number(samples.value[shown])} ${unitSign(samples.unit)}` })}
        </span>
      </figcaption>
      <div class="plot" ref={box} tabIndex={0} role="img" aria-label={`${props.name}. ${text("chart.keys")}`} onKeyDown={move} />
    </figure>
  );
}

function nearest(times: number[], time: number): number | null {
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
