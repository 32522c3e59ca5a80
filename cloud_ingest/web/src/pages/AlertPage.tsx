// One alert: details, history, notifications, and the possible actions.
import { useState } from "preact/hooks";
import { act, addressOf, get } from "../api/client";
import type { Alert, AlertDetail, Delivery, HistoryEntry } from "../api/types";
import { noteAlert, now, openAlerts } from "../live/state";
import { useAcknowledge, valueAndLimit } from "../alerts/AlertTable";
import { basisOf } from "../alerts/legalBasis";
import { Show, useLoaded } from "../parts/loading";
import { SeverityBadge } from "../parts/marks";
import { ActionFailure, useUserAction, UserField } from "../parts/user";
import { stationName } from "../parts/names";
import { Scroll } from "../parts/Scroll";
import { UntilField, untilMs, type Until } from "../alerts/UntilField";
import { toAlert, toChart } from "../route";
import { language, moment, number, span, text, textOr, unitSign, type TextKey } from "../texts";

/** What was written, or the new severity in words. */
const noteOf = (entry: HistoryEntry) => (entry.kind === "rose" && entry.text ? textOr(`severity.${entry.text}`, entry.text) : entry.text);

function History({ entries, unit }: { entries: HistoryEntry[]; unit: string }) {
  return (
    <ol class="history">
      {entries.map((entry, i) => (
        <li key={i}>
          <time>{moment(entry.time_ms)}</time> <b>{textOr(`event.${entry.kind}`, entry.kind)}</b>
          {entry.value !== null && ` ${number(entry.value)} ${unit}`}
          {entry.by && <span class="quiet" translate={false}> – {entry.by}</span>}
          {entry.text && <p dir="auto" translate={entry.by ? false : undefined}>{noteOf(entry)}</p>}
        </li>
      ))}
    </ol>
  );
}

function Deliveries({ items }: { items: Delivery[] }) {
  if (!items.length) return <p class="quiet">{text("deliveries.none")}</p>;
  return (
    <Scroll label={text("deliveries.title")}>
      <table>
        <thead>
          <tr><th>{text("value.time")}</th><th>{text("notify.channel")}</th><th>{text("notify.news")}</th><th>{text("alerts.state")}</th><th>{text("notify.error")}</th></tr>
        </thead>
        <tbody>
          {items.map((d, i) => (
            <tr key={i}>
              <td>{moment(d.sent_ms ?? d.created_ms)}</td><td translate={false}>{d.channel}</td><td>{text(`news.${d.kind}` as TextKey)}</td>
              <td>{text(`delivery.${d.state}`)}</td><td class="long" lang="en" translate={false}>{d.error}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function SilenceForm({ alert, reload }: { alert: Alert; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState<Until>({ choice: "4h", moment: "" });
  const silence = async () => {
    const end = untilMs(until, Date.now());
    const done = await run((user) => act("POST /alerts/{alert_id}/silence", { alert_id: alert.id }, { reason, end }, user));
    if (!done) return;
    setReason("");
    reload();
  };
  return (
    <form onSubmit={(e) => { e.preventDefault(); void silence(); }}>
      <h2>{text("silence.this")}</h2>
      <p class="quiet note">{text("silence.this.note")}</p>
      <label>{text("silence.reason")}
        <input required value={reason} maxLength={1000} placeholder={text("silence.reason.placeholder")} onInput={(e) => setReason(e.currentTarget.value)} />
      </label>
      <UntilField value={until} onChange={setUntil} open="silence.until.resolved" />
      <button disabled={busy || !reason.trim()}>{text("silence.do")}</button>
      <ActionFailure reason={error} />
    </form>
  );
}

function Actions({ alert, reload }: { alert: Alert; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const step = useAcknowledge();
  const [note, setNote] = useState("");
  const [to, setTo] = useState("");
  const open = alert.state !== "resolved";
  const asks = { alert_id: alert.id };
  const done = async (answer: Alert | null) => {
    if (answer) noteAlert(answer);
    if (answer) reload();
    return answer !== null;
  };
  const resolve = () => run((user) => act("POST /alerts/{alert_id}/resolve", asks, { note: note || null }, user)).then(done);
  const comment = () => run((user) => act("POST /alerts/{alert_id}/comment", asks, { text: note }, user)).then(done);
  const assign = () => run((user) => act("POST /alerts/{alert_id}/assign", asks, { to }, user)).then(done);
  return (
    <div class="actions no-print">
      <UserField />
      {open && (
        <p class="buttons">
          {alert.state !== "acknowledged" && (
            <button class="act" disabled={step.busy} onClick={() => void step.acknowledge(alert).then(done)}>{text("alerts.acknowledge")}</button>
          )}
          <button disabled={busy} onClick={() => void resolve()}>{text("alerts.resolve")}</button>
        </p>
      )}
      <ActionFailure reason={step.error ?? error} />
      <form onSubmit={(e) => { e.preventDefault(); if (note.trim()) void comment().then((ok) => ok && setNote("")); }}>
        <label>{text("alerts.comment")}
          <textarea value={note} rows={3} placeholder={text("alerts.comment.placeholder")} onInput={(e) => setNote(e.currentTarget.value)} />
        </label>
        <button disabled={busy || !note.trim()}>{text("alerts.comment.send")}</button>
      </form>
      {open && (
        <form class="row" onSubmit={(e) => { e.preventDefault(); if (to.trim()) void assign().then((ok) => ok && setTo("")); }}>
          <label>{text("alerts.assign")}<input value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
          <button disabled={busy || !to.trim()}>{text("alerts.assign.send")}</button>
        </form>
      )}
      {open && !alert.silenced && <SilenceForm alert={alert} reload={reload} />}
    </div>
  );
}

function Facts({ alert }: { alert: AlertDetail }) {
  const facts: [string, string][] = [
    [text("alerts.where"), stationName(alert.station)],
    [text("alerts.since"), moment(alert.start_ms)],
    [text("alerts.duration"), span(alert.start_ms, alert.end_ms ?? now.value)],
    [text("alerts.value"), valueAndLimit(alert)],
    [text("alerts.state"), text(`state.${alert.state}`)],
  ];
  if (alert.device) facts.splice(1, 0, [text("value.device"), [alert.device, alert.metric].filter(Boolean).join(" · ")]);
  if (alert.assignee) facts.push([text("alerts.assignee"), alert.assignee]);
  const legal = alert.legal;
  return (
    <>
      <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd dir="auto">{value}</dd></div>)}</dl>
      {alert.acknowledged_by && <p>{text("alerts.acknowledged_by", { who: alert.acknowledged_by, time: moment(alert.acknowledged_ms) })}</p>}
      {alert.silenced && alert.state !== "resolved" && <p><a href="#/alerts/silences">{text("alerts.silenced")}</a></p>}
      {legal && <p><b>{text("alerts.legal")}:</b> {basisOf(legal)}{!legal.verified && <em> {text("alerts.unverified")}</em>}</p>}
      {alert.rule.startsWith("demo/") && <p class="quiet">{text("alerts.demonstration")}</p>}
      {alert.retrospective && <p class="quiet">{text("alerts.retrospective")}</p>}
      {alert.muted_by !== null && <p><a href={toAlert(alert.muted_by)}>{text("alerts.muted", { n: alert.muted_by })}</a></p>}
      <p class="links no-print">
        {alert.series && <a href={toChart(alert.series, { range: "1h", at: String(alert.start_ms + 600_000) })}>{text("alerts.chart")}</a>}
        <a href={addressOf("GET /alerts/{alert_id}/cap", { alert_id: alert.id })} download={`alert-${alert.id}.xml`}>{text("alerts.cap")}</a>
      </p>
    </>
  );
}

export function AlertPage({ id }: { id: number }) {
  const updated = openAlerts.value.get(id)?.updated_ms;
  const loaded = useLoaded(() => get("GET /alerts/{alert_id}", { alert_id: id }), [id, updated]);
  return (
    <section>
      <p class="no-print"><a href="#/alerts">← {text("alerts.back")}</a></p>
      <Show of={loaded}>
        {(alert) => (
          <>
            <h1><SeverityBadge severity={alert.severity} /> {alert.name[language.value]}</h1>
            <p class="lead">{alert.text[language.value]}</p>
            <div class="columns">
              <div>
                <Facts alert={alert} />
                <h2>{text("alerts.history")}</h2>
                <History entries={alert.history} unit={alert.unit ? unitSign(alert.unit) : ""} />
                <h2>{text("deliveries.title")}</h2>
                <Deliveries items={alert.deliveries} />
              </div>
              <Actions alert={alert} reload={loaded.reload} />
            </div>
          </>
        )}
      </Show>
    </section>
  );
}
