// For technicians: the health of every part, the backlog of each gateway, the errors of each bus.
import { list } from "../api/client";
import type { AnyHealth, Device, Gateway } from "../api/types";
import { now, readHealth } from "../live/state";
import { EventList } from "../parts/EventList";
import { Show, useLoaded } from "../parts/loading";
import { UserField } from "../parts/user";
import { Quarantine } from "../parts/Quarantine";
import { Scroll } from "../parts/Scroll";
import { toGateway } from "../route";
import { ago, text, textOr, whole } from "../texts";

const EVERY_MS = 5000;
const ERRORS = ["timeouts", "crc_errors", "exceptions", "short_frames", "foreign_frames", "late_replies", "resyncs", "bus_errors", "counter_resets"];

function Online({ yes }: { yes: boolean }) {
  return <span class={yes ? "on" : "off"}>{yes ? `● ${text("station.online")}` : `○ ${text("station.offline")}`}</span>;
}

function HealthList({ health }: { health: AnyHealth }) {
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
              <td class="id"><a href={toGateway(g.id)} translate={false}>{g.id}</a></td><td dir="auto">{g.station_name}</td><td><Online yes={g.online} /></td><td>{ago(g.last_seen_ms, now.value)}</td>
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

export function System() {
  const health = useLoaded(readHealth, [], EVERY_MS);
  const gateways = useLoaded(() => list("GET /gateways"), [], EVERY_MS);
  const devices = useLoaded(() => list("GET /devices"), [], EVERY_MS);
  const quarantine = useLoaded(() => list("GET /quarantine", {}, 100), [], EVERY_MS);
  const events = useLoaded(() => list("GET /events", {}, 100), [], EVERY_MS);
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
      <p class="quiet note">{text("system.quarantine.note")}</p>
      <div class="choice"><UserField /></div>
      <Show of={quarantine}>{(items) => <Quarantine items={items} reload={quarantine.reload} />}</Show>
      <h2>{text("events.title")}</h2>
      <Show of={events}>{(items) => <EventList items={items} />}</Show>
      <p><a href="/api/docs">API</a> · <a href="/metrics">Prometheus</a></p>
    </section>
  );
}
