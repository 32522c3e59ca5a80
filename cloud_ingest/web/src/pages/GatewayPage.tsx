// One gateway: samples measured and stored day by day, and the gaps with their reasons.
import { get, list } from "../api/client";
import type { Gateway, GatewayLedger } from "../api/types";
import { now } from "../live/state";
import { EventList } from "../parts/EventList";
import { Show, useLoaded } from "../parts/loading";
import { Scroll } from "../parts/Scroll";
import { ago, moment, text, whole } from "../texts";

const EVERY_MS = 10_000;

function Facts({ gateway }: { gateway: Gateway }) {
  const facts: [string, string][] = [
    [text("alerts.where"), gateway.station_name],
    [text("system.online"), gateway.online ? text("station.online") : text("station.offline")],
    [text("system.last_seen"), ago(gateway.last_seen_ms, now.value)],
    [text("system.measured"), whole(gateway.samples_measured)],
    [text("system.stored"), whole(gateway.samples_stored)],
    [text("system.backlog"), whole(gateway.backlog)],
    [text("system.given_up"), whole(gateway.samples_given_up)],
    [text("gateway.oldest"), gateway.backlog_oldest_ms === null ? "–" : moment(gateway.backlog_oldest_ms)],
  ];
  return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd dir="auto">{value}</dd></div>)}</dl>;
}

function Days({ ledger }: { ledger: GatewayLedger }) {
  if (!ledger.days.length) return <p>{text("gateway.days.none")}</p>;
  return (
    <Scroll label={text("gateway.days")}>
      <table>
        <thead>
          <tr><th>{text("gateway.day")}</th><th class="num">{text("system.measured")}</th><th class="num">{text("system.stored")}</th><th class="num">{text("gateway.late")}</th><th class="num">{text("system.given_up")}</th></tr>
        </thead>
        <tbody>
          {ledger.days.map((d) => (
            <tr key={d.day}>
              <td>{d.day.split("-").reverse().join("/")}</td><td class="num">{whole(d.measured)}</td><td class="num">{whole(d.stored)}</td>
              <td class="num">{whole(d.late)}</td><td class={d.given_up ? "num off" : "num"}>{whole(d.given_up)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Gaps({ ledger }: { ledger: GatewayLedger }) {
  const missing = ledger.missing.reduce((n, [first = 0, last = 0]) => n + last - first + 1, 0);
  return (
    <>
      <p>{missing ? text("gateway.missing", { n: whole(missing) }) : text("gateway.nothing_missing")}</p>
      {ledger.gaps.length > 0 && (
        <Scroll label={text("gateway.gaps")}>
          <table>
            <thead><tr><th>{text("value.time")}</th><th class="num">{text("gateway.reports")}</th><th>{text("system.reason")}</th></tr></thead>
            <tbody>
              {ledger.gaps.map((g) => <tr key={`${g.first}-${g.time_ms}`}><td>{moment(g.time_ms)}</td><td class="num">{whole(g.count)}</td><td class="long" lang="en" translate={false}>{g.reason}</td></tr>)}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}

export function GatewayPage({ id }: { id: string }) {
  const gateway = useLoaded(() => get("GET /gateways/{gateway}", { gateway: id }), [id], EVERY_MS);
  const ledger = useLoaded(() => get("GET /gateways/{gateway}/ledger", { gateway: id, days: 30 }), [id], EVERY_MS);
  const events = useLoaded(() => list("GET /events", { gateway: id }, 100), [id], EVERY_MS);
  return (
    <section>
      <p><a href="#/system">← {text("gateway.back")}</a></p>
      <h1><bdi translate={false}>{id}</bdi></h1>
      <Show of={gateway}>{(data) => <Facts gateway={data} />}</Show>
      <h2>{text("gateway.days")}</h2>
      <Show of={ledger}>{(data) => <Days ledger={data} />}</Show>
      <p class="quiet note">{text("gateway.days.note")}</p>
      <h2>{text("gateway.gaps")}</h2>
      <Show of={ledger}>{(data) => <Gaps ledger={data} />}</Show>
      <h2>{text("events.title")}</h2>
      <Show of={events}>{(items) => <EventList items={items} />}</Show>
    </section>
  );
}
