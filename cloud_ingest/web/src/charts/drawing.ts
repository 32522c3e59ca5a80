// What is drawn under the line of a chart: spans of alerts, and limits with labels that do not overlap.
import type uPlot from "uplot";
import type { Alert, Severity } from "../api/types";
import { SEVERITY_RANK } from "../live/state";
import { colour } from "./timeAxis";

export interface LimitLine {
  value: number;
  severity: Severity;
  label: string;
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const TEXT_HEIGHT = 14;

const overlap = (a: Box, b: Box) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

/** The text, shortened to fit the width. */
function cut(ctx: CanvasRenderingContext2D, words: string, width: number): string {
  if (ctx.measureText(words).width <= width) return words;
  let short = words;
  while (short && ctx.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short.trimEnd()}…`;
}

/** Spans of alerts, under the grid; the more severe one covers the other. */
export function drawAlertSpans(plot: uPlot, alerts: Alert[], end_ms: number): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const x = (ms: number) => Math.min(Math.max(plot.valToPos(ms / 1000, "x", true), left), left + width);
  for (const alert of [...alerts].sort((a, b) => SEVERITY_RANK[a.severity] - SEVERITY_RANK[b.severity]))
    for (const [from, to] of alert.spans.length ? alert.spans : [[alert.start_ms, alert.end_ms] as const]) {
      const a = x(from);
      const b = x(to ?? end_ms);
      if (b <= left || a >= left + width) continue;
      for (const tint of ["--card", `--span-${alert.severity}`]) {
        ctx.fillStyle = colour(tint);
        ctx.fillRect(a, top, Math.max(b - a, 2), height);
      }
    }
}

/** Limits with their labels, over the grid and under the data. */
export function drawLimits(plot: uPlot, lines: LimitLine[]): void {
  const { ctx } = plot;
  ctx.save();
  const { left, top, width, height } = plot.bbox;
  const dot = devicePixelRatio;
  const written: Box[] = [];
  ctx.font = `${12 * dot}px "Be Vietnam Pro", sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  for (const line of lines) {
    const y = Math.round(plot.valToPos(line.value, "y", true));
    if (y < top || y > top + height) continue;
    ctx.strokeStyle = ctx.fillStyle = colour(`--${line.severity}`);
    ctx.lineWidth = 2 * dot;
    ctx.setLineDash([6 * dot, 4 * dot]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    const words = cut(ctx, line.label, width - 12 * dot);
    const start = left + 6 * dot;
    const places = [y - 5 * dot, y + 14 * dot].map((base) => ({
      base,
      box: { left: start, right: start + ctx.measureText(words).width, top: base - (TEXT_HEIGHT - 3) * dot, bottom: base + 3 * dot },
    }));
    const free = places.find(({ box }) => box.top >= top && box.bottom <= top + height && !written.some((w) => overlap(w, box)));
    if (!free) continue; // its name is in the list under the chart
    ctx.fillText(words, start, free.base);
    written.push(free.box);
  }
  ctx.restore();
}
