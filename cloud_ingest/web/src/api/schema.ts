// What the HTTP API takes and answers. Made from its OpenAPI document; do not edit.
// cloud_ingest/web/tools/make_types.py writes this file.

/** Name and version. `host`: Sparkplug host application; `time_zone`: of the web page. */
export interface About {
  name: string;
  version: string;
  host: string;
  store: string;
  time_ms: number;
  time_zone: string;
}

/** The alerts that were acknowledged, and those for which it was not possible. */
export interface Acknowledged {
  items: Alert[];
  refused: Refused[];
}

/** The administrative units before and since July 2025. */
export interface Administrative {
  former: string | null;
  current: string | null;
}

/** An alert with the spans [start, end or null] in which it was active, and its history. */
export interface Alert {
  id: number;
  rule: string;
  kind: string;
  state: "pending" | "firing" | "acknowledged" | "resolved";
  severity: "info" | "warning" | "critical";
  scope: "metric" | "device" | "bus" | "gateway" | "broker";
  subject: string;
  series: string | null;
  station: string | null;
  gateway: string | null;
  device: string | null;
  metric: string | null;
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
  fires: number;
  flapping: boolean;
  muted_by: number | null;
  silenced: boolean;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  assignee: string | null;
  name: Texts;
  text: Texts;
  legal: Legal | null;
  spans: ([number, number | null])[];
  history: HistoryEntry[];
}

/** An alert with its history and the messages sent about it. */
export interface AlertDetail {
  id: number;
  rule: string;
  kind: string;
  state: "pending" | "firing" | "acknowledged" | "resolved";
  severity: "info" | "warning" | "critical";
  scope: "metric" | "device" | "bus" | "gateway" | "broker";
  subject: string;
  series: string | null;
  station: string | null;
  gateway: string | null;
  device: string | null;
  metric: string | null;
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
  fires: number;
  flapping: boolean;
  muted_by: number | null;
  silenced: boolean;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  assignee: string | null;
  name: Texts;
  text: Texts;
  legal: Legal | null;
  spans: ([number, number | null])[];
  history: HistoryEntry[];
  deliveries: Delivery[];
}

/** The present state of an alert: a span in which a rule was true for a series, device, gateway ... `peak`: the value furthest beyond the limit. `muted_by`: the wider alert that explains it. `retrospective`: found in late data. */
export interface AlertNews {
  id: number;
  rule: string;
  kind: string;
  state: "pending" | "firing" | "acknowledged" | "resolved";
  severity: "info" | "warning" | "critical";
  scope: "metric" | "device" | "bus" | "gateway" | "broker";
  subject: string;
  series: string | null;
  station: string | null;
  gateway: string | null;
  device: string | null;
  metric: string | null;
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
  fires: number;
  flapping: boolean;
  muted_by: number | null;
  silenced: boolean;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  assignee: string | null;
  name: Texts;
  text: Texts;
  legal: Legal | null;
}

/** The alerts that were active in a period, oldest first. `shortened`: there are more. */
export interface AlertReport {
  since_ms: number;
  until_ms: number;
  items: ReportedAlert[];
  shortened: boolean;
}

/** Silence one alert, with the reason; without an end, until it is resolved. */
export interface AlertSilence {
  reason: string;
  end?: string | number | null;
}

/** The assignee of the alert; null: nobody. */
export interface Assignment {
  to: string | null;
}

/** A channel of `notify` in cloud.yaml without its address; an empty list matches everything. */
export interface Channel {
  name: string;
  service: string;
  severity: ("info" | "warning" | "critical")[];
  station: string[];
  rule: string[];
  language: "vi" | "en";
  quiet_hours: string | null;
  quiet_below: "info" | "warning" | "critical";
  escalate_after_ms: number | null;
  resolved: boolean;
  per_minute: number;
}

/** The result of a test message; if it failed, the reason and the message of the service. */
export interface ChannelTest {
  channel: string;
  ok: boolean;
  error: Texts | null;
  detail: string | null;
}

/** True if a part answers; otherwise `detail` is the reason. */
export interface Check {
  ok: boolean;
  detail: string;
  kind?: string;
}

/** Several alerts, and a note on the action. */
export interface Chosen {
  ids: number[];
  note?: string | null;
}

/** A comment. */
export interface Comment {
  text: string;
}

/** A message about an alert: channel, state and error. */
export interface Delivery {
  channel: string;
  kind: string;
  state: "waiting" | "sent" | "failed" | "dropped";
  created_ms: number;
  sent_ms: number | null;
  attempts: number;
  error: string | null;
}

/** A device with the counters of its bus. */
export interface Device {
  id: string;
  gateway: string;
  device: string;
  station: string;
  group: string;
  online: boolean;
  last_seen_ms: number | null;
  since_ms: number;
  profile: string;
  manufacturer: string;
  model: string;
  bus: string;
  series: number;
  diagnostics: Record<string, number>;
  properties: Record<string, unknown>;
}

/** An event of a gateway or a device. */
export interface Event {
  id: number;
  time_ms: number;
  kind: string;
  group: string;
  gateway: string;
  device: string | null;
  message: string;
  details: unknown;
}

/** Reports, from `first` to `last` number, that will not arrive, and why. */
export interface Gap {
  first: number;
  last: number;
  reason: string;
  time_ms: number;
  count: number;
}

/** A gateway. `backlog` and `samples_measured` are null until the gateway reports them. */
export interface Gateway {
  id: string;
  group: string;
  station: string;
  station_name: string;
  online: boolean;
  last_seen_ms: number | null;
  since_ms: number;
  born_ms: number | null;
  backlog: number | null;
  backlog_oldest_ms: number | null;
  samples_measured: number | null;
  samples_stored: number;
  samples_given_up: number | null;
  acknowledges: boolean;
  ack_through: number | null;
  next_batch: number | null;
  agent_version: string;
  devices: number;
  devices_online: number;
  rebirths_asked: number;
  sequence_gaps: number;
  properties: Record<string, unknown>;
}

/** The stored and the missing reports of a gateway, and the counts of each day. */
export interface GatewayLedger {
  gateway: string;
  acknowledges: boolean;
  through: number | null;
  ranges: number[][];
  missing: number[][];
  samples_stored: number;
  gaps: Gap[];
  days: LedgerDay[];
}

/** Broker, store, database, pipeline and notification all work. */
export interface Health {
  status: "ok";
  version: string;
  time_ms: number;
  uptime_s: number;
  checks: Record<string, Check>;
}

/** A part does not work; `checks` says which. */
export interface HealthProblem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: WrongField[];
  version: string;
  time_ms: number;
  uptime_s: number;
  checks: Record<string, Check>;
}

/** An entry of an alert's history. */
export interface HistoryEntry {
  time_ms: number;
  kind: string;
  by: string | null;
  text: string | null;
  value: number | null;
}

/** An air-quality index of a station. If `value` is null, `reason` says why. */
export interface Index {
  station: string;
  kind: "vn_aqi" | "epa_aqi";
  period: "hour" | "day";
  time_ms: number;
  method: string;
  value: number | null;
  level: IndexLevel | null;
  dominant: string | null;
  sub_indices: SubIndex[];
  reason: string | null;
  inputs: Record<string, IndexInput>;
  inputs_from_ms: number;
}

/** The one-hour means used, oldest first; null for an hour with too little data. */
export interface IndexInput {
  series: string;
  hour_means: (number | null)[];
}

/** A level of an index with its range, name and official colour. */
export interface IndexLevel {
  id: string;
  low: number;
  high: number | null;
  colour: string;
  vi: string;
  en: string;
}

/** The latest sample of a series. `quality`: QARTOD flag; `value` null: it had none. */
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

/** The numbers of samples of a local day: measured, stored, stored late, given up. */
export interface LedgerDay {
  day: string;
  measured: number;
  stored: number;
  late: number;
  given_up: number;
}

/** The legal basis of a limit: document, dates between which it is in force, and verification. */
export interface Legal {
  document: string;
  clause: string;
  area: string;
  averaging: string;
  effective_from: string | null;
  effective_to: string | null;
  verified: boolean;
  source: string;
}

/** A limit of a rule, and the label of its line in a chart. */
export interface Limit {
  value: number;
  comparison: string | null;
  severity: "info" | "warning" | "critical";
  unit: string;
  label: Texts;
}

/** A silence of everything that its fields match. `end` null: until it is ended by hand. */
export interface NewSilence {
  kind?: "silence" | "maintenance" | "calibration";
  rule?: string | null;
  station?: string | null;
  gateway?: string | null;
  device?: string | null;
  metric?: string | null;
  start?: string | number | null;
  end?: string | number | null;
  reason: string;
}

/** A note on an action. */
export interface Note {
  note?: string | null;
}

/** A message with its alert. `due_ms`: the time of its next attempt. */
export interface Notification {
  channel: string;
  kind: string;
  state: "waiting" | "sent" | "failed" | "dropped";
  created_ms: number;
  sent_ms: number | null;
  attempts: number;
  error: string | null;
  id: number;
  alert_id: number;
  name: Texts;
  station: string | null;
  severity: "info" | "warning" | "critical";
  due_ms: number;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageAlert {
  items: Alert[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageChannel {
  items: Channel[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageDevice {
  items: Device[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageEvent {
  items: Event[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageGateway {
  items: Gateway[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageIndex {
  items: Index[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageLatest {
  items: Latest[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageNotification {
  items: Notification[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageQuantity {
  items: Quantity[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageQuarantined {
  items: Quarantined[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageRule {
  items: Rule[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageSamples {
  items: Samples[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageSeries {
  items: Series[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageSilence {
  items: Silence[];
  next: string | null;
}

/** A page of a list. `next` is the cursor of the next page, null on the last page. */
export interface PageStation {
  items: Station[];
  next: string | null;
}

/** Problem details (RFC 9457). */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: WrongField[];
}

/** A measurable quantity. `cumulative`: a counter that only grows; `circular`: an angle. */
export interface Quantity {
  name: string;
  unit: string;
  domain: string;
  en: string;
  vi: string;
  cumulative: boolean;
  circular: boolean;
}

/** The number of rejected messages since the first start. */
export interface QuarantineSummary {
  total: number;
  by_reason: Record<string, number>;
}

/** A rejected message with the first 4 kB of its payload. `count`: how often it arrived. */
export interface Quarantined {
  id: number;
  time_ms: number;
  topic: string;
  gateway: string | null;
  reason: string;
  size: number;
  count: number;
  form: "message" | "samples";
  replayable: boolean;
  payload_base64: string;
}

/** An alert for which an action was not possible, and why. */
export interface Refused {
  id: number;
  detail: string;
}

/** The message is queued again; if it fails again, it returns to the quarantine. */
export interface Replayed {
  id: number;
  replayed: true;
}

/** One line of the report: alert, place, span, peak, limit, who acknowledged it. */
export interface ReportedAlert {
  id: number;
  rule: string;
  name: Texts;
  severity: "info" | "warning" | "critical";
  state: "pending" | "firing" | "acknowledged" | "resolved";
  station: string | null;
  station_name: string | null;
  subject: string;
  start_ms: number;
  end_ms: number | null;
  peak: number | null;
  limit: number | null;
  comparison: string | null;
  unit: string | null;
  legal: Legal | null;
  demonstration: boolean;
  retrospective: boolean;
  muted_by: number | null;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  assignee: string | null;
}

/** A rule with its limits, its legal basis, and its series. */
export interface Rule {
  rule: string;
  kind: string;
  name: Texts;
  severity: "info" | "warning" | "critical";
  enabled: boolean;
  verified: boolean | null;
  demonstration: boolean;
  quantity: string[];
  limits: Limit[];
  averaging: string | null;
  hold_ms: number;
  legal: Legal | null;
  series: string[];
}

/** Samples of a series, or one value for each step that has samples; columns of equal length. `min`, `max` and `count` are present with steps if an envelope was requested. */
export interface Samples {
  series: string;
  quantity: string;
  unit: string;
  step_ms: number | null;
  aggregate: "mean" | "min" | "max" | "count" | "last" | null;
  time_ms: number[];
  value: (number | null)[];
  min?: (number | null)[];
  max?: (number | null)[];
  count?: number[];
  quality: number[];
}

/** One metric of one device over time. `valid`: lowest and highest possible value. */
export interface Series {
  id: string;
  gateway: string;
  device: string;
  metric: string;
  group: string;
  station: string;
  quantity: string;
  unit: string;
  interval_ms: number;
  valid: number[] | null;
  profile: string;
  cumulative: boolean;
  circular: boolean;
}

/** A span in which matching alerts notify nobody; a field that is null matches everything. `end_ms` null: until it is ended by hand, or until the alert `until_resolved` is resolved. Maintenance and calibration also mark the samples of their span as failed, as far as they arrive after it was entered and within 30 days of its end. Samples already stored keep their flag. */
export interface Silence {
  id: number;
  kind: "silence" | "maintenance" | "calibration";
  rule: string | null;
  station: string | null;
  gateway: string | null;
  device: string | null;
  metric: string | null;
  start_ms: number;
  end_ms: number | null;
  until_resolved: number | null;
  reason: string;
  created_by: string;
  created_ms: number;
  ended_by: string | null;
}

/** A place on the map. It is online while any of its gateways is. */
export interface Station {
  id: string;
  name: string;
  latitude: number | null;
  longitude: number | null;
  group: string;
  gateways: string[];
  online: boolean;
  last_seen_ms: number | null;
  administrative: Administrative;
}

/** The events of the stream by name, with their JSON data. */
export interface StreamEvents {
  ready?: StreamReady;
  samples?: StreamSamples;
  alert?: AlertNews;
  gateway?: Gateway;
  device?: Device;
  skipped?: StreamSkipped;
}

/** The first event of the stream. */
export interface StreamReady {
  time_ms: number;
}

/** The latest sample of each series; columns of equal length. */
export interface StreamSamples {
  series: string[];
  time_ms: number[];
  value: (number | null)[];
  quality: number[];
}

/** The number of messages that were skipped because this client was too slow. */
export interface StreamSkipped {
  count: number;
}

/** The index of one pollutant, and the mean from which it was computed. */
export interface SubIndex {
  pollutant: string;
  averaging: string;
  value: number;
  unit: string;
  index: number;
}

/** A text in both languages. */
export interface Texts {
  vi: string;
  en: string;
}

/** A field of a request that is not valid, and why. */
export interface WrongField {
  field: string;
  message: string;
}

/** Every call: what it asks for in its address, what it sends, what is answered. */
export interface Calls {
  "GET /about": { asks: {  }; sends: undefined; answers: About };
  "GET /alerts": { asks: { state?: string[] | string; station?: string[] | string; rule?: string[] | string; gateway?: string[] | string; series?: string[] | string; severity?: string[] | string; quantity?: string[] | string; since?: string | number; until?: string | number; limit?: number; cursor?: string | number }; sends: undefined; answers: PageAlert };
  "POST /alerts/acknowledge": { asks: {  }; sends: Chosen; answers: Acknowledged };
  "GET /alerts/{alert_id}": { asks: { alert_id: number }; sends: undefined; answers: AlertDetail };
  "POST /alerts/{alert_id}/acknowledge": { asks: { alert_id: number }; sends: Note | null; answers: Alert };
  "POST /alerts/{alert_id}/assign": { asks: { alert_id: number }; sends: Assignment; answers: Alert };
  "GET /alerts/{alert_id}/cap": { asks: { alert_id: number }; sends: undefined; answers: string };
  "POST /alerts/{alert_id}/comment": { asks: { alert_id: number }; sends: Comment; answers: Alert };
  "POST /alerts/{alert_id}/resolve": { asks: { alert_id: number }; sends: Note | null; answers: Alert };
  "POST /alerts/{alert_id}/silence": { asks: { alert_id: number }; sends: AlertSilence; answers: Silence };
  "GET /devices": { asks: { limit?: number; cursor?: string | number; station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; group?: string[] | string }; sends: undefined; answers: PageDevice };
  "GET /devices/{gateway}/{device}": { asks: { gateway: string | number; device: string | number }; sends: undefined; answers: Device };
  "GET /events": { asks: { gateway?: string[] | string; kind?: string[] | string; since?: string | number; limit?: number; cursor?: string | number }; sends: undefined; answers: PageEvent };
  "GET /gateways": { asks: { exact?: boolean; limit?: number; cursor?: string | number; station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; group?: string[] | string }; sends: undefined; answers: PageGateway };
  "GET /gateways/{gateway}": { asks: { gateway: string | number; exact?: boolean }; sends: undefined; answers: Gateway };
  "GET /gateways/{gateway}/ledger": { asks: { gateway: string | number; days?: number }; sends: undefined; answers: GatewayLedger };
  "GET /health": { asks: {  }; sends: undefined; answers: Health };
  "GET /index": { asks: { station?: string | number; kind?: "vn_aqi" | "epa_aqi"; period?: "hour" | "day"; at?: string | number }; sends: undefined; answers: Index | PageIndex };
  "GET /latest": { asks: { series?: string[] | string; limit?: number; cursor?: string | number; station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; group?: string[] | string }; sends: undefined; answers: PageLatest };
  "GET /notifications": { asks: { state?: string[] | string; channel?: string[] | string; station?: string[] | string; limit?: number; cursor?: string | number }; sends: undefined; answers: PageNotification };
  "GET /notifications/channels": { asks: {  }; sends: undefined; answers: PageChannel };
  "POST /notifications/{channel}/test": { asks: { channel: string | number }; sends: undefined; answers: ChannelTest };
  "GET /quantities": { asks: {  }; sends: undefined; answers: PageQuantity };
  "GET /quarantine": { asks: { gateway?: string[] | string; limit?: number; cursor?: string | number }; sends: undefined; answers: PageQuarantined };
  "GET /quarantine/summary": { asks: {  }; sends: undefined; answers: QuarantineSummary };
  "DELETE /quarantine/{item}": { asks: { item: number }; sends: undefined; answers: null };
  "POST /quarantine/{item}/replay": { asks: { item: number }; sends: undefined; answers: Replayed };
  "GET /reports/alerts": { asks: { since: string | number; until?: string | number; station?: string[] | string; format?: "json" | "csv" | "xlsx"; language?: "vi" | "en" }; sends: undefined; answers: AlertReport };
  "GET /rules": { asks: { series?: string[] | string; station?: string[] | string; quantity?: string[] | string; limit?: number; cursor?: string | number }; sends: undefined; answers: PageRule };
  "GET /samples": { asks: { series: string[] | string; start?: string | number; end?: string | number; step?: string | number; aggregate?: "mean" | "min" | "max" | "count" | "last"; max_points?: number; envelope?: boolean; format?: "json" | "csv" | "parquet" | "xlsx" | "lines" }; sends: undefined; answers: Samples | PageSamples };
  "GET /series": { asks: { limit?: number; cursor?: string | number; station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; group?: string[] | string }; sends: undefined; answers: PageSeries };
  "GET /series/{key}": { asks: { key: string | number }; sends: undefined; answers: Series };
  "GET /silences": { asks: { active?: boolean; limit?: number; cursor?: string | number }; sends: undefined; answers: PageSilence };
  "POST /silences": { asks: {  }; sends: NewSilence; answers: Silence };
  "DELETE /silences/{silence_id}": { asks: { silence_id: number }; sends: undefined; answers: Silence };
  "GET /stations": { asks: { limit?: number; cursor?: string | number; station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; group?: string[] | string }; sends: undefined; answers: PageStation };
  "GET /stations/{station}": { asks: { station: string | number }; sends: undefined; answers: Station };
  "GET /stream": { asks: { station?: string[] | string; gateway?: string[] | string; quantity?: string[] | string; series?: string[] | string }; sends: undefined; answers: string };
}
