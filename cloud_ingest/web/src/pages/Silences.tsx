// Silences, maintenance and calibration: list, create, end.
import { useState } from "preact/hooks";
import { act, list } from "../api/client";
import type { NewSilence, Rule, Silence } from "../api/types";
import { latest, now, stations } from "../live/state";
import { Show, useLoaded } from "../parts/loading";
import { ActionFailure, useUserAction, UserField } from "../parts/user";
import { stationName } from "../parts/names";
import { Scroll } from "../parts/Scroll";
import { AlertTabs } from "../alerts/AlertTabs";
import { momentOf } from "../parts/localTime";
import { UntilField, untilMs, type Until } from "../alerts/UntilField";
import { route, toAlert } from "../route";
import { language, moment, text, type TextKey } from "../texts";

type Kind = Silence["kind"];
const KINDS: Kind[] = ["maintenance", "calibration", "silence"];
const EVERY_MS = 10_000;
/** What a gateway says of itself, and what is worked out from other series: no devices to maintain. */
const WORKED_OUT = ["-", "index"];

function scopeOf(silence: Silence, rules: Rule[]): string {
  const rule = rules.find((r) => r.rule === silence.rule)?.name[language.value] ?? silence.rule;
  const place = [silence.station && stationName(silence.station), silence.device ?? silence.gateway, silence.metric].filter(Boolean).join(" / ");
  return [place || text("silence.everywhere"), rule].filter(Boolean).join(" · ");
}

function End({ silence }: { silence: Silence }) {
  if (silence.until_resolved !== null && silence.end_ms === null)
    return <a href={toAlert(silence.until_resolved)}>{text("silence.until.alert", { n: silence.until_resolved })}</a>;
  return <>{silence.end_ms === null ? text("silence.until.ended") : moment(silence.end_ms)}</>;
}

function Row({ silence, rules, reload }: { silence: Silence; rules: Rule[]; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const over = silence.end_ms !== null && silence.end_ms <= now.value;
  const end = async () => (await run((user) => act("DELETE /silences/{silence_id}", { silence_id: silence.id }, undefined, user))) && reload();
  return (
    <tr class={over ? "resolved" : ""}>
      <td data-label={text("silence.kind")}><b>{text(`silence.kind.${silence.kind}`)}</b></td>
      <td class="long" dir="auto" data-label={text("silence.scope")}>{scopeOf(silence, rules)}</td>
      <td data-label={text("silence.start")}>{silence.start_ms > now.value ? <b>{moment(silence.start_ms)}</b> : moment(silence.start_ms)}</td>
      <td data-label={text("silence.end")}><End silence={silence} /></td>
      <td class="long" dir="auto" data-label={text("silence.reason")}><span translate={false}>{silence.reason}</span><ActionFailure reason={error} /></td>
      <td dir="auto" data-label={text("silence.by")}><span translate={false}>{silence.created_by}</span>{silence.ended_by && <small class="quiet"> {text("silence.ended_by", { who: silence.ended_by })}</small>}</td>
      <td>{!over && <button disabled={busy} onClick={() => void end()}>{text("silence.end_now")}</button>}</td>
    </tr>
  );
}

const HEAD: TextKey[] = ["silence.kind", "silence.scope", "silence.start", "silence.end", "silence.reason", "silence.by", "alerts.do"];

function Table({ items, rules, label, reload }: { items: Silence[]; rules: Rule[]; label: TextKey; reload: () => void }) {
  return (
    <Scroll label={text(label)}>
      <table class="stack">
        <thead><tr>{HEAD.map((key) => <th key={key}>{text(key)}</th>)}</tr></thead>
        <tbody>{items.map((s) => <Row key={s.id} silence={s} rules={rules} reload={reload} />)}</tbody>
      </table>
    </Scroll>
  );
}

function devicesAt(station: string): string[] {
  const found = [...latest.value.values()].filter((v) => v.station === station && !WORKED_OUT.includes(v.device));
  return [...new Set(found.map((v) => `${v.gateway}/${v.device}`))].sort();
}

function Form({ rules, reload }: { rules: Rule[]; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const [kind, setKind] = useState<Kind>("maintenance");
  const [station, setStation] = useState(route.value.query.get("station") ?? "");
  const [device, setDevice] = useState("");
  const [rule, setRule] = useState("");
  const [start, setStart] = useState("");
  const [until, setUntil] = useState<Until>({ choice: "4h", moment: "" });
  const [reason, setReason] = useState("");
  const make = async () => {
    const start_ms = momentOf(start);
    const [gateway, ...name] = device.split("/");
    const body: NewSilence = {
      kind, reason, station: station || null, rule: rule || null,
      gateway: device ? (gateway ?? null) : null, device: device ? name.join("/") : null,
      start: start_ms, end: untilMs(until, start_ms ?? Date.now()),
    };
    if (!(await run((user) => act("POST /silences", {}, body, user)))) return;
    setReason("");
    reload();
  };
  return (
    <form class="sheet" onSubmit={(e) => { e.preventDefault(); void make(); }}>
      <h2>{text("silence.new")}</h2>
      <div class="fields">
        <label>{text("silence.kind")}
          <select value={kind} onChange={(e) => setKind(e.currentTarget.value as Kind)}>
            {KINDS.map((k) => <option key={k} value={k}>{text(`silence.kind.${k}`)}</option>)}
          </select>
        </label>
        <label>{text("chart.station")}
          <select value={station} onChange={(e) => { setStation(e.currentTarget.value); setDevice(""); }}>
            <option value="">{text("silence.everywhere")}</option>
            {stations.value?.map((s) => <option key={s.id} value={s.id}>{s.name}</option>)}
          </select>
        </label>
        <label>{text("value.device")}
          <select value={device} disabled={!station} onChange={(e) => setDevice(e.currentTarget.value)}>
            <option value="">{text("silence.every_device")}</option>
            {devicesAt(station).map((d) => <option key={d} value={d}>{d}</option>)}
          </select>
        </label>
        <label>{text("silence.rule")}
          <select value={rule} onChange={(e) => setRule(e.currentTarget.value)}>
            <option value="">{text("silence.every_rule")}</option>
            {rules.filter((r) => r.enabled).map((r) => <option key={r.rule} value={r.rule}>{r.name[language.value]}</option>)}
          </select>
        </label>
        <label>{text("silence.start")}
          <input type="datetime-local" value={start} onInput={(e) => setStart(e.currentTarget.value)} />
          <small class="quiet">{text("silence.start.note")}</small>
        </label>
        <UntilField value={until} onChange={setUntil} open="silence.until.ended" />
        <label class="wide">{text("silence.reason")}
          <input required value={reason} maxLength={1000} placeholder={text("silence.reason.placeholder")} onInput={(e) => setReason(e.currentTarget.value)} />
        </label>
      </div>
      <p class="quiet note">{text(`silence.note.${kind}`)} {text("time.zone")}</p>
      <button class="act" disabled={busy || !reason.trim()}>{text("silence.make")}</button>
      <ActionFailure reason={error} />
    </form>
  );
}

export function Silences() {
  const loaded = useLoaded(() => list("GET /silences", {}, 500), [], EVERY_MS);
  const rules = useLoaded(() => list("GET /rules"), []);
  const isOver = (s: Silence) => s.end_ms !== null && s.end_ms <= now.value;
  return (
    <section>
      <h1>{text("silence.title")}</h1>
      <AlertTabs here="alerts/silences" />
      <div class="choice"><UserField /></div>
      <Show of={loaded}>
        {(items) => {
          const on = items.filter((s) => !isOver(s));
          const over = items.filter(isOver);
          return (
            <>
              {on.length ? <Table items={on} rules={rules.data ?? []} label="silence.title" reload={loaded.reload} /> : <p>{text("silence.none")}</p>}
              <Form rules={rules.data ?? []} reload={loaded.reload} />
              {over.length > 0 && (
                <details>
                  <summary>{text("silence.over", { n: over.length })}</summary>
                  <Table items={over} rules={rules.data ?? []} label="silence.title" reload={loaded.reload} />
                </details>
              )}
            </>
          );
        }}
      </Show>
    </section>
  );
}
