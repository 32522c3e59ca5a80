// Notification channels and whether they work, and the state of every message.
import { useState } from "preact/hooks";
import { act, list } from "../api/client";
import type { Channel, ChannelTest, Notification, Severity } from "../api/types";
import { Show, useLoaded } from "../parts/loading";
import { SeverityBadge } from "../parts/marks";
import { ActionFailure, useUserAction, UserField } from "../parts/user";
import { stationName } from "../parts/names";
import { Scroll } from "../parts/Scroll";
import { AlertTabs } from "../alerts/AlertTabs";
import { toAlert } from "../route";
import { clock, duration, language, moment, text, whole, type TextKey } from "../texts";

const EVERY_MS = 5000;
const MANY = 200;
const STATES = ["all", "waiting", "sent", "failed", "dropped"] as const;
const SERVICES: Record<string, string> = { json: "Webhook (JSON)", jsons: "Webhook (JSON)", form: "Webhook", forms: "Webhook", tgram: "Telegram", slack: "Slack", zalo: "Zalo", msteams: "Teams" };

const serviceName = (channel: Channel): string => (channel.service.startsWith("mailto") ? text("notify.mail") : (SERVICES[channel.service] ?? channel.service));

/** Which alerts a channel hears of, in words. */
function Takes({ channel }: { channel: Channel }) {
  return (
    <ul class="plain">
      <li>{channel.severity.length ? channel.severity.map((s: Severity) => <SeverityBadge key={s} severity={s} />) : text("notify.every_severity")}</li>
      {channel.station.length > 0 && <li>{text("notify.stations", { names: channel.station.map(stationName).join(", ") })}</li>}
      {channel.rule.length > 0 && <li translate={false}>{channel.rule.join(", ")}</li>}
      {channel.quiet_hours && <li>{text("notify.quiet", { hours: channel.quiet_hours, severity: text(`severity.${channel.quiet_below}`) })}</li>}
      {channel.escalate_after_ms !== null && <li>{text("notify.escalates", { time: duration(channel.escalate_after_ms) })}</li>}
    </ul>
  );
}

function Trial({ result }: { result: { said: ChannelTest; time_ms: number } }) {
  const { said, time_ms } = result;
  if (said.ok) return <p class="on">{text("notify.tested", { time: clock(time_ms) })}</p>;
  return (
    <p class="failure">
      {text("notify.not_tested", { time: clock(time_ms), reason: said.error?.[language.value] ?? "" })}
      {said.detail && <small class="quiet" lang="en" translate={false}> {said.detail}</small>}
    </p>
  );
}

function ChannelRow({ channel }: { channel: Channel }) {
  const { error, busy, run } = useUserAction();
  const [result, setResult] = useState<{ said: ChannelTest; time_ms: number } | null>(null);
  const test = async () => {
    const said = await run((user) => act("POST /notifications/{channel}/test", { channel: channel.name }, undefined, user));
    if (said) setResult({ said, time_ms: Date.now() });
  };
  return (
    <tr>
      <td translate={false} data-label={text("notify.channel")}><b>{channel.name}</b></td>
      <td data-label={text("notify.service")}>{serviceName(channel)}</td>
      <td data-label={text("notify.takes")}><Takes channel={channel} /></td>
      <td>
        <button disabled={busy} onClick={() => void test()}>{text(busy ? "notify.testing" : "notify.test")}<span class="hidden"> {channel.name}</span></button>
        <div role="status">{result && <Trial result={result} />}</div>
        <ActionFailure reason={error} />
      </td>
    </tr>
  );
}

function Channels({ items }: { items: Channel[] }) {
  if (!items.length) return <p class="note">{text("notify.no_channels")}</p>;
  return (
    <Scroll label={text("notify.channels")}>
      <table class="stack">
        <thead><tr><th>{text("notify.channel")}</th><th>{text("notify.service")}</th><th>{text("notify.takes")}</th><th>{text("notify.test")}</th></tr></thead>
        <tbody>{items.map((c) => <ChannelRow key={c.name} channel={c} />)}</tbody>
      </table>
    </Scroll>
  );
}

/** When it was sent, or when it is tried again. */
function When({ item }: { item: Notification }) {
  if (item.state === "sent") return <>{moment(item.sent_ms)}</>;
  return <>{item.state === "waiting" ? text("notify.due", { time: moment(item.due_ms) }) : "–"}</>;
}

function Log({ items }: { items: Notification[] }) {
  if (!items.length) return <p>{text("notify.none")}</p>;
  return (
    <Scroll label={text("notify.log")}>
      <table class="stack">
        <thead>
          <tr>
            <th>{text("notify.created")}</th><th>{text("notify.alert")}</th><th>{text("notify.news")}</th><th>{text("notify.channel")}</th>
            <th>{text("alerts.state")}</th><th>{text("notify.when")}</th><th class="num">{text("notify.attempts")}</th><th>{text("notify.error")}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((n) => (
            <tr key={n.id}>
              <td data-label={text("notify.created")}>{moment(n.created_ms)}</td>
              <td class="what" data-label={text("notify.alert")}><a href={toAlert(n.alert_id)}>{n.name[language.value]}</a> <small class="quiet">{stationName(n.station)}</small></td>
              <td data-label={text("notify.news")}>{text(`news.${n.kind}` as TextKey)}</td><td translate={false} data-label={text("notify.channel")}>{n.channel}</td>
              <td class={`delivery ${n.state}`} data-label={text("alerts.state")}>{text(`delivery.${n.state}`)}</td><td data-label={text("notify.when")}><When item={n} /></td>
              <td class="num" data-label={text("notify.attempts")}>{whole(n.attempts)}</td><td class="long" lang="en" translate={false} data-label={text("notify.error")}>{n.error}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

export function Notifications() {
  const [state, setState] = useState<(typeof STATES)[number]>("all");
  const channels = useLoaded(() => list("GET /notifications/channels"), []);
  const log = useLoaded(() => list("GET /notifications", state === "all" ? {} : { state }, MANY), [state], EVERY_MS);
  return (
    <section>
      <h1>{text("notify.title")}</h1>
      <AlertTabs here="alerts/notifications" />
      <div class="choice"><UserField /></div>
      <h2>{text("notify.channels")}</h2>
      <Show of={channels}>{(items) => <Channels items={items} />}</Show>
      <h2>{text("notify.log")}</h2>
      <div class="choice ranges" role="group" aria-label={text("alerts.state")}>
        {STATES.map((s) => <button key={s} aria-pressed={s === state} onClick={() => setState(s)}>{text(`delivery.${s}`)}</button>)}
      </div>
      <Show of={log}>{(items) => <Log items={items} />}</Show>
    </section>
  );
}
