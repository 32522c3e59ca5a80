// State of all pages: stations, latest values and open alerts, updated by the event stream.
import { computed, signal } from "@preact/signals";
import { getAny, list } from "../api/client";
import { reasonOf } from "../api/reason";
import type { AlertNews, AnyHealth, Gateway, Latest, Quantity, Severity, Station, StreamSamples } from "../api/types";

export type Connection = { state: "connecting" | "live" } | { state: "stale"; since_ms: number };

export const now = signal(Date.now());
export const connection = signal<Connection>({ state: "connecting" });
export const failure = signal<string | null>(null);
export const stations = signal<Station[] | null>(null);
export const quantities = signal<Map<string, Quantity>>(new Map());
export const latest = signal<Map<string, Latest>>(new Map());
export const openAlerts = signal<Map<number, AlertNews>>(new Map());
/** The samples that arrived last. */
export const arrivals = signal<{ series: string; time_ms: number; value: number | null }[]>([]);

export const SEVERITY_RANK: Record<Severity, number> = { info: 0, warning: 1, critical: 2 };

/** Open alerts that no wider alert explains. */
export const visibleAlerts = computed(() =>
  [...openAlerts.value.values()]
    .filter((a) => a.muted_by === null && a.state !== "pending")
    .sort((a, b) => SEVERITY_RANK[b.severity] - SEVERITY_RANK[a.severity] || b.start_ms - a.start_ms),
);

export type Level = "ok" | "info" | "warning" | "critical" | "offline";

export function levelOf(station: Station): Level {
  const alerts = visibleAlerts.value.filter((a) => a.station === station.id);
  if (!station.online) return "offline";
  if (alerts.some((a) => a.severity === "critical")) return "critical";
  if (alerts.some((a) => a.severity === "warning")) return "warning";
  return alerts.length ? "info" : "ok";
}

const isOpen = (alert: AlertNews) => alert.state !== "resolved";

export function noteAlert(alert: AlertNews): void {
  const next = new Map(openAlerts.value);
  if (isOpen(alert)) next.set(alert.id, alert);
  else next.delete(alert.id);
  openAlerts.value = next;
}

async function load(): Promise<void> {
  try {
    const [allStations, values, alerts] = await Promise.all([
      list("GET /stations"),
      list("GET /latest", {}, 20000),
      list("GET /alerts", { state: "open" }),
    ]);
    stations.value = allStations;
    latest.value = new Map(values.map((v) => [v.series, v]));
    openAlerts.value = new Map(alerts.map((a) => [a.id, a]));
    failure.value = null;
  } catch (error) {
    failure.value = reasonOf(error);
  }
}

function takeSamples(columns: StreamSamples): void {
  const next = new Map(latest.value);
  let unknown = false;
  const arrived: { series: string; time_ms: number; value: number | null }[] = [];
  columns.series.forEach((id, i) => {
    const before = next.get(id);
    const time_ms = columns.time_ms[i] ?? 0;
    const value = columns.value[i] ?? null;
    arrived.push({ series: id, time_ms, value });
    if (!before) unknown = true;
    else if (time_ms >= before.time_ms)
      next.set(id, { ...before, time_ms, value, quality: columns.quality[i] ?? 2, online: true });
  });
  latest.value = next;
  arrivals.value = arrived;
  if (unknown) reloadSoon();
}

let reload: ReturnType<typeof setTimeout> | undefined;

/** Read everything again in a moment: something appeared that the page does not know. */
function reloadSoon(): void {
  reload ??= setTimeout(() => {
    reload = undefined;
    void load();
  }, 1500);
}

function takeGateway(gateway: Gateway): void {
  const known = stations.value;
  if (!known?.some((s) => s.gateways.includes(gateway.id))) return reloadSoon();
  stations.value = known.map((s) =>
    s.gateways.length === 1 && s.gateways[0] === gateway.id
      ? { ...s, online: gateway.online, last_seen_ms: gateway.last_seen_ms }
      : s,
  );
}

const parsed = <T>(event: Event): T => JSON.parse((event as MessageEvent<string>).data) as T;

function listen(): void {
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("open", () => {
    if (connection.value.state !== "live") void load();
    connection.value = { state: "live" };
  });
  source.addEventListener("error", () => {
    if (connection.value.state !== "stale")
      connection.value = { state: "stale", since_ms: Date.now() };
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  source.addEventListener("samples", (e) => takeSamples(parsed<StreamSamples>(e)));
  source.addEventListener("alert", (e) => noteAlert(parsed<AlertNews>(e)));
  source.addEventListener("gateway", (e) => takeGateway(parsed<Gateway>(e)));
  source.addEventListener("skipped", reloadSoon);
}

export function readHealth(): Promise<AnyHealth> {
  return getAny<AnyHealth>("GET /health");
}

/** Load everything, then follow the stream. To be called once. */
export function begin(): void {
  setInterval(() => (now.value = Date.now()), 1000);
  void list("GET /quantities").then(
    (all) => (quantities.value = new Map(all.map((q) => [q.name, q]))),
    () => undefined, // names fall back to the quantity's own; the next load shows what is wrong
  );
  void load();
  listen();
}
