// Names for parts of the API's answers. The shapes themselves are in schema.ts, made from the API.
import type { AlertNews, Check } from "./schema";

export type * from "./schema";

export type Severity = AlertNews["severity"];
export type AlertState = AlertNews["state"];

/** What /health says, whether all is well (status 200) or not (503). */
export interface AnyHealth {
  status: string | number;
  version?: string;
  checks: Record<string, Check>;
}
