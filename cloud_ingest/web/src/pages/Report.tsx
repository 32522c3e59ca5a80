// The report of a period: every alert that was active in it; for paper and for spreadsheets.
import { addressOf, get } from "../api/client";
import type { AlertReport, ReportedAlert, Severity } from "../api/types";
import { now, stations } from "../live/state";
import { basisOf } from "../alerts/legalBasis";
import { Show, useLoaded } from "../parts/loading";
import { stationName } from "../parts/names";
import { Scroll } from "../parts/Scroll";
import { AlertTabs } from "../alerts/AlertTabs";
import { DAY_MS, dayOf, dayStart } from "../parts/localTime";
import { route, toAlert } from "../route";
import { language, moment, number, span, text, unitSign, type TextKey } from "../texts";

const SEVERITIES: Severity[] = ["critical", "warning", "info"];

interface Period {
  from: string;
  to: string;
  station: string;
}

function periods(today: string): [TextKey, string, string][] {
  const month = `${today.slice(0, 7)}-01`;
  const before = dayOf((dayStart(month) ?? 0) - DAY_MS);
  return [
    ["report.today", today, today],
    ["report.week", dayOf((dayStart(today) ?? 0) - 6 * DAY_MS), today],
    ["report.month", month, today],
    ["report.last_month", `${before.slice(0, 7)}-01`, before],
  ];
}

function asked(): Period {
  const { query } = route.value;
  const today = dayOf(now.peek());
  const day = (name: string, otherwise: string) => (dayStart(query.get(name) ?? "") === null ? otherwise : (query.get(name) ?? otherwise));
  const to = day("to", today);
  return { from: day("from", dayOf((dayStart(to) ?? 0) - 6 * DAY_MS)), to, station: query.get("station") ?? "" };
}

const go = (period: Period) => (location.hash = `#/alerts/report?${new URLSearchParams({ ...period })}`);

function Choice({ period }: { period: Period }) {
  return (
    <div class="choice no-print">
      <div class="ranges" role="group" aria-label={text("report.period")}>
        {periods(dayOf(now.peek())).map(([key, from, to]) => (
          <button key={key} aria-pressed={period.from === from && period.to === to} onClick={() => go({ ...period, from, to })}>{text(key)}</button>
        ))}
      </div>
      <label>{text("report.from")}<input type="date" value={period.from} max={period.to} onChange={(e) => go({ ...period, from: e.currentTarget.value })} /></label>
      <label>{text("report.to")}<input type="date" value={period.to} min={period.from} onChange={(e) => go({ ...period, to: e.currentTarget.value })} /></label>
      <label>{text("chart.station")}
        <select value={period.station} onChange={(e) => go({ ...period, station: e.currentTarget.value })}>
          <option value="">{text("report.every_station")}</option>
          {stations.value?.map((s) => <option key={s.id} value={s.id}>{s.name}</option>)}
        </select>
      </label>
    </div>
  );
}

function limitOf(item: ReportedAlert): string {
  const basis = item.legal ? basisOf(item.legal) : "";
  const notes = [item.legal && !item.legal.verified ? text("alerts.unverified") : "", item.demonstration ? text("alerts.demonstration") : ""];
  return [basis, ...notes].filter(Boolean).join(" · ");
}

const withUnit = (value: number | null, unit: string | null) => (value === null ? "–" : `${number(value)} ${unitSign(unit ?? "")}`.trim());

function Line({ item }: { item: ReportedAlert }) {
  return (
    <tr>
      <td class="num" data-label={text("report.number")}><a href={toAlert(item.id)}>{item.id}</a></td>
      <td class="what" data-label={text("alerts.what")}>
        {item.name[language.value]}<small class="quiet" translate={false}>{item.subject}</small><small class="quiet">{text(`severity.${item.severity}`)}
          {item.retrospective && ` · ${text("alerts.retrospective")}`}{item.muted_by !== null && ` · ${text("alerts.muted", { n: item.muted_by })}`}</small>
      </td>
      <td dir="auto" data-label={text("alerts.where")}>{item.station_name ?? "–"}</td>
      <td data-label={text("alerts.since")}>{moment(item.start_ms)}</td>
      <td data-label={text("report.until")}>{item.end_ms === null ? text("report.goes_on") : moment(item.end_ms)}<small class="quiet">{span(item.start_ms, item.end_ms ?? now.value)}</small></td>
      <td class="num" data-label={text("report.peak")}>{withUnit(item.peak, item.unit)}</td>
      <td class="long" data-label={text("report.limit")}><span class="nowrap">{withUnit(item.limit, item.unit)}</span><small class="quiet">{limitOf(item)}</small></td>
      <td dir="auto" data-label={text("report.acknowledged")}>{item.acknowledged_by ? <>{item.acknowledged_by}<small class="quiet">{moment(item.acknowledged_ms)}</small></> : text("report.nobody")}</td>
    </tr>
  );
}

const HEAD: [TextKey, string][] = [
  ["report.number", "num"], ["alerts.what", ""], ["alerts.where", ""], ["alerts.since", ""], ["report.until", ""],
  ["report.peak", "num"], ["report.limit", ""], ["report.acknowledged", ""],
];

function Sheet({ report, period }: { report: AlertReport; period: Period }) {
  const { items } = report;
  const count = (s: Severity) => items.filter((i) => i.severity === s).length;
  return (
    <article class="report">
      <h2>{text("report.heading", { from: moment(report.since_ms).slice(0, 10), to: moment(report.until_ms - 1).slice(0, 10) })}</h2>
      <p>{period.station ? stationName(period.station) : text("report.every_station")} · {text("report.count", { n: items.length })}
        {items.length > 0 && ` (${SEVERITIES.filter(count).map((s) => `${text(`severity.${s}`)}: ${count(s)}`).join(", ")})`}</p>
      {report.shortened && <p class="failure">{text("report.shortened", { n: items.length })}</p>}
      {items.length > 0 && (
        <Scroll label={text("tabs.report")}>
          <table class="lines stack">
            <thead><tr>{HEAD.map(([key, kind]) => <th key={key} class={kind}>{text(key)}</th>)}</tr></thead>
            <tbody>{items.map((i) => <Line key={i.id} item={i} />)}</tbody>
          </table>
        </Scroll>
      )}
      <p class="quiet note">{text("report.note")} {text("time.zone")}</p>
      <div class="signatures print-only"><p>{text("report.printed", { time: moment(now.peek()) })}</p><p>{text("report.made_by")}</p><p>{text("report.checked_by")}</p></div>
    </article>
  );
}

export function Report() {
  const period = asked();
  const asks = { since: dayStart(period.from) ?? 0, until: (dayStart(period.to) ?? 0) + DAY_MS, ...(period.station ? { station: period.station } : {}) };
  const loaded = useLoaded(() => get("GET /reports/alerts", asks), [period.from, period.to, period.station]);
  const file = (format: "csv" | "xlsx") => addressOf("GET /reports/alerts", { ...asks, format, language: language.value });
  return (
    <section>
      <h1 class="no-print">{text("tabs.report")}</h1>
      <div class="no-print"><AlertTabs here="alerts/report" /></div>
      <Choice period={period} />
      <p class="links no-print">
        <button onClick={() => print()}>{text("report.print")}</button>
        <a href={file("xlsx")} download>{text("report.excel")}</a>
        <a href={file("csv")} download>{text("chart.csv")}</a>
      </p>
      <Show of={loaded}>{(report) => <Sheet report={report} period={period} />}</Show>
    </section>
  );
}
