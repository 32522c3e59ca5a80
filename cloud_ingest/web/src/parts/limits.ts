// Which limits of the rules are lines in a chart, and what is said about the rest.
import type { Limit, Rule, Severity } from "../api/types";
import { language, number, unitSign } from "../texts";
import type { Line } from "./decorate";
import { holds } from "./legal";

const RANK: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };
/** A limit so many times higher than the highest value would press the line flat. */
const FAR = 10;

/** Rules that are on and were in force at some time of the picture. */
export function inForce(rules: Rule[], start_ms: number, end_ms: number): Rule[] {
  return rules.filter((r) => r.enabled && r.limits.length > 0 && holds(r, start_ms, end_ms));
}

export function limitText(limit: Limit): string {
  return `${number(limit.value)} ${limit.unit ? unitSign(limit.unit) : ""}`.trim();
}

/** One line for each value: limits that are equal share it. */
export function lines(rules: Rule[]): Line[] {
  const found = new Map<number, { severity: Severity; names: string[]; said: string }>();
  for (const rule of rules)
    for (const limit of rule.limits) {
      const name = rule.name[language.value];
      const line = found.get(limit.value) ?? { severity: limit.severity, names: [], said: limitText(limit) };
      if (RANK[limit.severity] > RANK[line.severity]) line.severity = limit.severity;
      if (!line.names.includes(name)) line.names.push(name);
      found.set(limit.value, line);
    }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([value, line]) => ({ value, severity: line.severity, label: `${line.said} · ${line.names.join(" · ")}` }));
}

/** The lines that fit into a picture of these values, and those that are far above it. */
export function fitting(all: Line[], values: (number | null)[]): { near: Line[]; far: Line[] } {
  const highest = values.reduce<number>((most, v) => Math.max(most, Math.abs(v ?? 0)), 0);
  const isFar = (line: Line) => highest > 0 && line.value > highest * FAR;
  return { near: all.filter((l) => !isFar(l)), far: all.filter(isFar) };
}
