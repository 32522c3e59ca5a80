// The officer's alerts: what, where, since when, why; acknowledge, assign, comment, resolve.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { get, list, post } from "../api/client";
import { reasonOf } from "../api/reason";
import type { Alert, HistoryEntry } from "../api/types";
import { noteAlert, now, openAlerts, stations, visibleAlerts } from "../live/state";
import { Show, useLoaded } from "../parts/Load";
import { SeverityBadge } from "../parts/marks";
import { Scroll } from "../parts/Scroll";
import { toAlert, toChart } from "../route";
import { language, moment, number, span, text, textOr, unitSign, type TextKey } from "../texts";

const MANY = 500;

function rememberedName(): string {
  try {
    return localStorage.getItem("officer") ?? "";
  } catch {
    return "";
  }
}
const officer = signal(rememberedName());

function rename(name: string): void {
  officer.value = name;
  try {
    localStorage.setItem("officer", name);
  } catch {
    // Storage may be switched off; the name then lasts as long as the page.
  }
}

/** Whose name stands in the history of an alert. */
export function Who() {
  return (
    <label class="who">
      {text("alerts.you")}
      <input value={officer.value} placeholder={text("alerts.you.placeholder")} maxLength={80} autocomplete="name"
        onInput={(e) => rename(e.currentTarget.value)} />
    </label>
  );
}

const stationName = (id: string | null) => stations.value?.find((s) => s.id === id)?.name ?? id ?? "–";

function valueAndLimit(alert: Alert): string {
  const unit = alert.unit ? unitSign(alert.unit) : "";
  if (alert.value === null && alert.peak === null) return "–";
  const value = number(alert.peak ?? alert.value);
  return `${value}${alert.limit === null ? "" : ` / ${number(alert.limit)}`} ${unit}`;
}

/** Sends a command about an alert; the answer is the alert as it is then. */
function useCommand(done?: (alert: Alert) => void) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async (alert: Alert, command: string, body: unknown) => {
    if (!officer.value.trim()) {
      setError(text("alerts.name_first"));
      document.querySelector<HTMLInputElement>(".who input")?.focus();
      return false;
    }
    setBusy(true);
    try {
      const next = await post<Alert>(`/alerts/${alert.id}/${command}`, body, officer.value);
      noteAlert(next);
      setError(null);
      done?.(next);
      return true;
    } catch (problem) {
      setError(reasonOf(problem));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { error, busy, send };
}

function Row({ alert }: { alert: Alert }) {
  const { error, busy, send } = useCommand();
  return (
    <tr class={alert.state}>
      <td><SeverityBadge severity={alert.severity} /></td>
      <td class="what">
        <a href={toAlert(alert.id)}>{alert.text[language.value]}</a>
        {alert.retrospective && <small class="quiet"> {text("alerts.retrospective")}</small>}
        {error && <p class="failure" role="alert">{text("alerts.failed", { reason: error })}</p>}
      </td>
      <td>{stationName(alert.station)}</td>
      <td class="wide-only">{moment(alert.start_ms)}</td>
      <td class="num">{span(alert.start_ms, alert.end_ms ?? now.value)}</td>
      <td class="num">{valueAndLimit(alert)}</td>
      <td>{text(`state.${alert.state}`)}{alert.assignee && <small class="quiet"> → {alert.assignee}</small>}</td>
      <td>
        {alert.state === "firing" && (
          <button class="act" disabled={busy} onClick={() => void send(alert, "acknowledge", { note: null })}>{text("alerts.acknowledge")}</button>
        )}
      </td>
    </tr>
  );
}

const HEAD: [TextKey, string][] = [
  ["alerts.severity", ""], ["alerts.what", ""], ["alerts.where", ""], ["alerts.since", "wide-only"],
  ["alerts.duration", "num"], ["alerts.value", "num"], ["alerts.state", ""], ["alerts.do", ""],
];

export function AlertTable({ alerts }: { alerts: Alert[] }) {
  return (
    <Scroll label={text("alerts.title")}>
      <table class="alerts">
        <thead><tr>{HEAD.map(([key, kind]) => <th key={key} class={kind}>{text(key)}</th>)}</tr></thead>
        <tbody>{alerts.map((a) => <Row key={a.id} alert={a} />)}</tbody>
      </table>
    </Scroll>
  );
}

export function Alerts() {
  const [all, setAll] = useState(false);
  const changed = [...openAlerts.value.values()].map((a) => `${a.id}${a.state}${a.updated_ms}`).join();
  const loaded = useLoaded(() => (all ? list<Alert>("/alerts", { limit: MANY }, MANY) : Promise.resolve([])), [all, all && changed]);
  const shown = (alerts: Alert[]) => alerts.filter((a) => a.state !== "pending");
  const table = (alerts: Alert[], none: TextKey) => (alerts.length ? <AlertTable alerts={alerts} /> : <p>{text(none)}</p>);
  return (
    <section>
      <h1>{text("alerts.title")}</h1>
      <div class="choice">
        <div class="ranges" role="group" aria-label={text("alerts.state")}>
          <button aria-pressed={!all} onClick={() => setAll(false)}>{text("alerts.open")} ({visibleAlerts.value.length})</button>
          <button aria-pressed={all} onClick={() => setAll(true)}>{text("alerts.all")}</button>
        </div>
        <Who />
      </div>
      {all ? <Show of={loaded}>{(alerts) => table(shown(alerts), "alerts.none.all")}</Show> : table(visibleAlerts.value, "alerts.none.open")}
    </section>
  );
}

/** What was written, or the new severity in words. */
const noteOf = (entry: HistoryEntry) => (entry.kind === "rose" && entry.text ? textOr(`severity.${entry.text}`, entry.text) : entry.text);

function History({ entries, unit }: { entries: HistoryEntry[]; unit: string }) {
  return (
    <ol class="history">
      {entries.map((entry, i) => (
        <li key={i}>
          <time>{moment(entry.time_ms)}</time> <b>{textOr(`event.${entry.kind}`, entry.kind)}</b>
          {entry.value !== null && ` ${number(entry.value)} ${unit}`}
          {entry.by && <span class="quiet"> – {entry.by}</span>}
          {entry.text && <p dir="auto">{noteOf(entry)}</p>}
        </li>
      ))}
    </ol>
  );
}

function Actions({ alert, reload }: { alert: Alert; reload: () => void }) {
  const { error, busy, send } = useCommand(reload);
  const [note, setNote] = useState("");
  const [to, setTo] = useState("");
  const open = alert.state !== "resolved";
  return (
    <div class="actions">
      <Who />
      {open && (
        <p class="buttons">
          {alert.state !== "acknowledged" && (
            <button class="act" disabled={busy} onClick={() => void send(alert, "acknowledge", { note: null })}>{text("alerts.acknowledge")}</button>
          )}
          <button disabled={busy} onClick={() => void send(alert, "resolve", { note: note || null })}>{text("alerts.resolve")}</button>
        </p>
      )}
      <form onSubmit={(e) => { e.preventDefault(); if (note.trim()) void send(alert, "comment", { text: note }).then((done) => done && setNote("")); }}>
        <label>{text("alerts.comment")}
          <textarea value={note} rows={3} placeholder={text("alerts.comment.placeholder")} onInput={(e) => setNote(e.currentTarget.value)} />
        </label>
        <button disabled={busy || !note.trim()}>{text("alerts.comment.send")}</button>
      </form>
      {open && (
        <form class="row" onSubmit={(e) => { e.preventDefault(); if (to.trim()) void send(alert, "assign", { to }).then((done) => done && setTo("")); }}>
          <label>{text("alerts.assign")}<input value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
          <button disabled={busy || !to.trim()}>{text("alerts.assign.send")}</button>
        </form>
      )}
      {error && <p class="failure" role="alert">{text("alerts.failed", { reason: error })}</p>}
    </div>
  );
}

function Facts({ alert }: { alert: Alert }) {
  const facts: [string, string][] = [
    [text("alerts.where"), stationName(alert.station)],
    [text("alerts.since"), moment(alert.start_ms)],
    [text("alerts.duration"), span(alert.start_ms, alert.end_ms ?? now.value)],
    [text("alerts.value"), valueAndLimit(alert)],
    [text("alerts.state"), text(`state.${alert.state}`)],
  ];
  if (alert.assignee) facts.push([text("alerts.assignee"), alert.assignee]);
  const legal = alert.legal;
  return (
    <>
      <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {alert.acknowledged_by && <p>{text("alerts.acknowledged_by", { who: alert.acknowledged_by, time: moment(alert.acknowledged_ms) })}</p>}
      {legal && (
        <p><b>{text("alerts.legal")}:</b> {[legal.document, legal.clause, legal.area, legal.averaging].filter(Boolean).join(" · ")}
          {!legal.verified && <em> {text("alerts.unverified")}</em>}</p>
      )}
      {alert.rule.startsWith("demo/") && <p class="quiet">{text("alerts.demonstration")}</p>}
      {alert.retrospective && <p class="quiet">{text("alerts.retrospective")}</p>}
      {alert.muted_by !== null && <p><a href={toAlert(alert.muted_by)}>{text("alerts.muted", { n: alert.muted_by })}</a></p>}
      {alert.series && <p><a href={toChart(alert.series, { range: "1h", at: String(alert.start_ms + 600_000) })}>{text("alerts.chart")}</a></p>}
    </>
  );
}

export function AlertPage({ id }: { id: number }) {
  const updated = openAlerts.value.get(id)?.updated_ms;
  const loaded = useLoaded(() => get<Alert>(`/alerts/${id}`), [id, updated]);
  return (
    <section>
      <p><a href="#/alerts">← {text("alerts.back")}</a></p>
      <Show of={loaded}>
        {(alert) => (
          <>
            <h1><SeverityBadge severity={alert.severity} /> {alert.name[language.value]}</h1>
            <p class="lead">{alert.text[language.value]}</p>
            <div class="columns">
              <div><Facts alert={alert} /><h2>{text("alerts.history")}</h2><History entries={alert.history ?? []} unit={alert.unit ? unitSign(alert.unit) : ""} /></div>
              <Actions alert={alert} reload={loaded.reload} />
            </div>
          </>
        )}
      </Show>
    </section>
  );
}
