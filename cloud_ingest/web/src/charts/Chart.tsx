// A chart of one series: limits as lines, alerts as spans, gaps left open.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Alert, Samples } from "../api/types";
import { language, moment, number, text, unitSign } from "../texts";
import { drawAlertSpans, drawLimits, type LimitLine } from "./drawing";
import { colour, columns, nearest, timeAxis, valueAxis } from "./timeAxis";
import { usePlot } from "./usePlot";

export interface ChartData {
  samples: Samples;
  name: string;
  limits: LimitLine[];
  alerts: Alert[];
  start_ms: number;
  end_ms: number;
  interval_ms: number;
  /** The latest sample, if the chart ends now. */
  latest: { time_ms: number; value: number | null } | null;
}

const FEW_POINTS = 80;

function options(data: () => ChartData, width: number): uPlot.Options {
  return {
    width,
    height: Math.min(420, Math.max(240, width * 0.42)),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: () => [data().start_ms / 1000, data().end_ms / 1000] },
      y: {
        range: (_, low, high) => {
          const values = data().limits.map((l) => l.value);
          const from = Math.min(low ?? Infinity, ...values);
          const to = Math.max(high ?? -Infinity, ...values);
          if (from > to) return [0, 1];
          const space = (to - from || Math.abs(to) || 1) * 0.1;
          return [from >= 0 && from - space < 0 ? 0 : from - space, to + space];
        },
      },
    },
    axes: [timeAxis(data), valueAxis()],
    series: [
      {},
      { stroke: colour("--accent"), width: 2, points: { show: () => data().samples.value.length < FEW_POINTS, size: 5 } },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: colour("--band") }],
    hooks: {
      drawClear: [(plot) => drawAlertSpans(plot, data().alerts, data().end_ms)],
      drawAxes: [(plot) => drawLimits(plot, data().limits)],
    },
  };
}

export function Chart({ data }: { data: ChartData }) {
  const newest = useRef(data);
  newest.current = data;
  const { samples } = data;
  const table = () => columns(newest.current.samples, newest.current.interval_ms);
  const { plot, at_ms, holder } = usePlot(
    { options: (width) => options(() => newest.current, width), data: table, times: samples.time_ms },
    [samples.series, data.end_ms - data.start_ms, language.value],
  );
  useEffect(() => plot.current?.setData(table()), [data]);

  const last = samples.time_ms.length - 1;
  const shown = at_ms === null ? last : (nearest(samples.time_ms, at_ms) ?? last);
  const live = at_ms === null ? data.latest : null;
  const time = live?.time_ms ?? samples.time_ms[shown];
  const value = live ? live.value : samples.value[shown];
  return (
    <figure class="chart" aria-label={data.name}>
      <figcaption>
        <b dir="auto">{data.name}</b> <span class="quiet">{unitSign(samples.unit)}</span>
        <span class="read" aria-live={at_ms === null ? "off" : "polite"}>
          {time !== undefined && text("chart.read", { time: moment(time), value: `${number(value)} ${unitSign(samples.unit)}` })}
        </span>
      </figcaption>
      <div class="plot" {...holder} aria-label={`${data.name}. ${text("chart.keys")}`} />
    </figure>
  );
}
