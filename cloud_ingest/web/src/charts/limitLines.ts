// The limits of rules as lines of a chart.
import type { Limit, Rule, Severity } from "../api/types";
import { language, number, unitSign } from "../texts";
import { holds } from "../alerts/legalBasis";
import { SEVERITY_RANK } from "../live/state";
import type { LimitLine } from "./drawing";

/** A limit this many times above the highest value would flatten the line. */
const FAR = 10;

/** Enabled rules that were in force at some time of the span. */
export function inForce(rules: Rule[], start_ms: number, end_ms: number): Rule[] {
  return rules.filter((r) => r.enabled && r.limits.length > 0 && holds(r, start_ms, end_ms));
}

export function limitText(limit: Limit): string {
  return `${number(limit.value)} ${limit.unit ? unitSign(limit.unit) : ""}`.trim();
}

/** One line for each value; equal limits share a line. */
export function limitLines(rules: Rule[]): LimitLine[] {
  const found = new Map<number, { severity: Severity; names: string[]; said: string }>();
  for (const rule of rules)
    for (const limit of rule.limits) {
      const name = rule.name[language.value];
      const line = found.get(limit.value) ?? { severity: limit.severity, names: [], said: limitText(limit) };
      if (SEVERITY_RANK[limit.severity] > SEVERITY_RANK[line.severity]) line.severity = limit.severity;
      if (!line.names.includes(name)) line.names.push(name);
      found.set(limit.value, line);
    }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([value, line]) => ({ value, severity: line.severity, label: `${line.said} · ${line.names.join(" · ")}` }));
}

/** The lines that fit into a chart of these values, and those far above it. */
export function splitFar(all: LimitLine[], values: (number | null)[]): { near: LimitLine[]; far: LimitLine[] } {
  const highest = values.reduce<number>((most, v) => Math.max(most, Math.abs(v ?? 0)), 0);
  const isFar = (line: LimitLine) => highest > 0 && line.value > highest * FAR;
  return { near: all.filter((l) => !isFar(l)), far: all.filter(isFar) };
}
