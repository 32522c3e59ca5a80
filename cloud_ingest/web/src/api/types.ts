// What the API answers (see /api/docs). Times are UTC milliseconds.

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Quantity {
  name: string;
  unit: string;
  domain: string;
  en: string;
  vi: string;
  cumulative: boolean;
  circular: boolean;
}

export interface Station {
  id: string;
  name: string;
  latitude: number | null;
  longitude: number | null;
  gateways: string[];
  online: boolean;
  last_seen_ms: number | null;
}

export interface Gateway {
  id: string;
  station: string;
  station_name: string;
  online: boolean;
  last_seen_ms: number | null;
  backlog: number | null;
  samples_measured: number | null;
  samples_stored: number;
  samples_given_up: number | null;
  agent_version: string | null;
}

export interface Device {
  id: string;
  gateway: string;
  device: string;
  station: string;
  online: boolean;
  last_seen_ms: number | null;
  profile: string | null;
  manufacturer: string | null;
  model: string | null;
  bus: string | null;
  diagnostics: Record<string, number>;
}

export interface Series {
  id: string;
  gateway: string;
  device: string;
  metric: string;
  station: string;
  quantity: string;
  unit: string;
  interval_ms: number;
}

export interface Latest {
  series: string;
  gateway: string;
  device: string;
  metric: string;
  station: string;
  quantity: string;
  unit: string;
  time_ms: number;
  value: number | null;
  quality: number;
  online: boolean;
}

export interface Samples {
  series: string;
  quantity: string;
  unit: string;
  step_ms: number | null;
  time_ms: number[];
  value: (number | null)[];
  quality: number[];
  min?: (number | null)[];
  max?: (number | null)[];
}

export interface Texts {
  vi: string;
  en: string;
}

export type Severity = "info" | "warning" | "critical";
export type AlertState = "pending" | "firing" | "acknowledged" | "resolved";

export interface HistoryEntry {
  time_ms: number;
  kind: string;
  by: string | null;
  text: string | null;
  value: number | null;
}

export interface Legal {
  document: string;
  clause: string | null;
  area: string | null;
  averaging: string | null;
  effective_from: string | null;
  effective_to: string | null;
  verified: boolean;
  source: string | null;
}

export interface Alert {
  id: number;
  rule: string;
  kind: string;
  state: AlertState;
  severity: Severity;
  series: string | null;
  subject: string;
  station: string | null;
  gateway: string | null;
  quantity: string | null;
  unit: string | null;
  start_ms: number;
  fired_ms: number | null;
  end_ms: number | null;
  updated_ms: number;
  value: number | null;
  peak: number | null;
  limit: number | null;
  comparison: string | null;
  retrospective: boolean;
  muted_by: number | null;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  assignee: string | null;
  name: Texts;
  text: Texts;
  legal: Legal | null;
  spans: [number, number | null][];
  history?: HistoryEntry[];
}

export interface Limit {
  value: number;
  comparison: string | null;
  severity: Severity;
  unit: string | null;
  label: Texts;
}

export interface Rule {
  rule: string;
  kind: string;
  name: Texts;
  severity: Severity;
  enabled: boolean;
  verified: boolean;
  demonstration: boolean;
  limits: Limit[];
  averaging: string | null;
  legal: Legal | null;
}

export interface Quarantined {
  id: number;
  time_ms: number;
  topic: string;
  gateway: string | null;
  reason: string;
  size: number;
  count: number;
}

export interface Health {
  status: string | number;
  version?: string;
  checks: Record<string, { ok: boolean; detail: string }>;
}

export interface Index {
  station: string;
  kind: string;
  period: string;
  time_ms: number;
  value: number | null;
  level: { id: string; colour: string; vi: string; en: string } | null;
  dominant: string | null;
  reason: string | null;
}
