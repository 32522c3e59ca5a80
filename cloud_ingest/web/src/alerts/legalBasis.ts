// The legal basis of a limit, in the reader's language as far as translations exist.
import type { Legal, Rule } from "../api/types";
import { dayStart } from "../parts/localTime";
import { textOr } from "../texts";

const said = (part: string) => textOr(`basis.${part}`, part);

/** A legal basis in one line. */
export function basisOf(legal: Legal): string {
  return [legal.document, ...[legal.clause, legal.area, legal.averaging].filter(Boolean).map(said)].join(" · ");
}

/** The start of a legal date in Vietnam, or `otherwise` if there is none. */
export const dayOfLaw = (date: string | null | undefined, otherwise: number) => (date ? (dayStart(date) ?? otherwise) : otherwise);

/** True if a rule's document is in force at some time of the span. */
export function holds(rule: Rule, start_ms: number, end_ms: number): boolean {
  return dayOfLaw(rule.legal?.effective_from, -Infinity) <= end_ms && dayOfLaw(rule.legal?.effective_to, Infinity) > start_ms;
}
