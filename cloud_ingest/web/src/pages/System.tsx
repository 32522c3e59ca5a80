// For the technician: is every part well, what does each gateway hold, what goes wrong on each wire.
import { list } from "../api/client";
import type { Device, Gateway, Health, Quarantined } from "../api/types";
import { now, readHealth } from "../live/state";
import { Show, useLoaded } from "../parts/Load";
import { Scroll } from "../parts/Scroll";
import { ago, moment, text, textOr, whole } from "../texts";

const EVERY_MS = 5000;
const ERRORS = ["timeouts", "crc_errors", "exceptions", "short_frames", "foreign_frames", "late_replies", "resyncs", "bus_errors", "counter_resets"];

function Online({ yes }: { yes: boolean }) {
  return <span class={yes ? "on" : "off"}>{yes ? `● ${text("station.online")}` : `○ ${text("station.offline")}`}</span>;
}

function HealthList({ health }: { health: Health }) {
  return (
    <ul class="checks">
      {Object.entries(health.checks).map(([name, check]) => (
        <li key={name} class={check.ok ? "on" : "off"}>
          <b>{textOr(`check.${name}`, name)}</b>: {check.ok ? text("system.ok") : `${text("system.bad")} – ${check.detail}`}
        </li>
      ))}
      {health.version && <li class="quiet">{text("system.version", { version: health.version })}</li>}
    </ul>
  );
}

function Gateways({ items }: { items: Gateway[] }) {
  if (!items.length) return <p>{text("stations.none")}</p>;
  return (
    <Scroll label={text("system.gateways")}>
      <table>
        <thead>
          <tr>
            <th>{text("system.gateway")}</th><th>{text("alerts.where")}</th><th>{text("system.online")}</th><th>{text("system.last_seen")}</th>
            <th class="num">{text("system.measured")}</th><th class="num">{text("system.stored")}</th><th class="num">{text("system.backlog")}</th><th class="num">{text("system.given_up")}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((g) => (
            <tr key={g.id}>
              <td class="id">{g.id}</td><td dir="auto">{g.station_name}</td><td><Online yes={g.online} /></td><td>{ago(g.last_seen_ms, now.value)}</td>
              <td class="num">{whole(g.samples_measured)}</td><td class="num">{whole(g.samples_stored)}</td><td class="num">{whole(g.backlog)}</td><td class="num">{whole(g.samples_given_up)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function errorsOf(device: Device): string {
  const found = ERRORS.filter((name) => (device.diagnostics[name] ?? 0) > 0);
  return found.map((name) => `${textOr(`counter.${name}`, name)}: ${whole(device.diagnostics[name])}`).join(", ") || text("system.no_errors");
}

function Devices({ items }: { items: Device[] }) {
  if (!items.length) return <p>{text("stations.none")}</p>;
  return (
    <Scroll label={text("system.devices")}>
      <table>
        <thead>
          <tr>
            <th>{text("system.device")}</th><th>{text("system.profile")}</th><th class="wide-only">{text("system.bus")}</th><th>{text("system.online")}</th>
            <th>{text("system.last_seen")}</th><th class="num">{text("system.answers")}</th><th>{text("system.errors")}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((d) => (
            <tr key={d.id}>
              <td class="id">{d.device}<small class="quiet">{d.gateway}</small></td><td>{[d.manufacturer, d.model].filter(Boolean).join(" ") || d.profile}</td><td class="wide-only">{d.bus}</td><td><Online yes={d.online} /></td>
              <td>{ago(d.last_seen_ms, now.value)}</td>
              <td class="num">{d.diagnostics.polls ? `${whole(d.diagnostics.answers)} / ${whole(d.diagnostics.polls)}` : whole(d.diagnostics.answers)}</td>
              <td>{errorsOf(d)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Quarantine({ items }: { items: Quarantined[] }) {
  if (!items.length) return <p>{text("system.quarantine.none")}</p>;
  return (
    <Scroll label={text("system.quarantine")}>
      <table>
        <thead><tr><th>{text("value.time")}</th><th>{text("system.topic")}</th><th>{text("system.reason")}</th><th class="num">{text("system.count")}</th></tr></thead>
        <tbody>
          {items.map((q) => (
            <tr key={q.id}><td>{moment(q.time_ms)}</td><td class="long" translate={false}>{q.topic}</td><td class="long" lang="en" translate={false}>{q.reason}</td><td class="num">{whole(q.count)}</td></tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

export function System() {
  const health = useLoaded(readHealth, [], EVERY_MS);
  const gateways = useLoaded(() => list<Gateway>("/gateways"), [], EVERY_MS);
  const devices = useLoaded(() => list<Device>("/devices"), [], EVERY_MS);
  const quarantine = useLoaded(() => list<Quarantined>("/quarantine", { limit: 100 }, 100), [], EVERY_MS);
  return (
    <section>
      <h1>{text("system.title")}</h1>
      <h2>{text("system.health")}</h2>
      <Show of={health}>{(data) => <HealthList health={data} />}</Show>
      <h2>{text("system.gateways")}</h2>
      <Show of={gateways}>{(items) => <Gateways items={items} />}</Show>
      <p class="quiet note">{text("system.counts")}</p>
      <h2>{text("system.devices")}</h2>
      <Show of={devices}>{(items) => <Devices items={items} />}</Show>
      <h2>{text("system.quarantine")}</h2>
      <Show of={quarantine}>{(items) => <Quarantine items={items} />}</Show>
      <p><a href="/api/docs">API</a> · <a href="/metrics">Prometheus</a></p>
    </section>
  );
}
