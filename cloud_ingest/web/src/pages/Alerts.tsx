// The list of alerts, open or all; several can be acknowledged at once.
import { useState } from "preact/hooks";
import { act, list } from "../api/client";
import type { AlertNews } from "../api/types";
import { noteAlert, openAlerts, visibleAlerts } from "../live/state";
import { AlertTable, type Choosing } from "../alerts/AlertTable";
import { Show, useLoaded } from "../parts/loading";
import { ActionFailure, useUserAction, UserField } from "../parts/user";
import { AlertTabs } from "../alerts/AlertTabs";
import { text, type TextKey } from "../texts";

const MANY = 500;

/** Acknowledges the chosen ones of the alerts that wait. */
function Several({ waiting, chosen, setChosen }: { waiting: AlertNews[]; chosen: ReadonlySet<number>; setChosen: (ids: ReadonlySet<number>) => void }) {
  const { error, busy, run } = useUserAction();
  const [refused, setRefused] = useState(0);
  const ids = waiting.map((a) => a.id).filter((id) => chosen.has(id));
  const acknowledge = async () => {
    const done = await run((user) => act("POST /alerts/acknowledge", {}, { ids, note: null }, user));
    if (!done) return;
    done.items.forEach(noteAlert);
    setRefused(done.refused.length);
    setChosen(new Set());
  };
  return (
    <div class="several">
      <label class="check">
        <input type="checkbox" checked={ids.length === waiting.length} onChange={(e) => setChosen(new Set(e.currentTarget.checked ? waiting.map((a) => a.id) : []))} />
        {text("alerts.choose_all", { n: waiting.length })}
      </label>
      <button class="act" disabled={busy || !ids.length} onClick={() => void acknowledge()}>{text("alerts.acknowledge_chosen", { n: ids.length })}</button>
      <ActionFailure reason={error} />
      {refused > 0 && <p class="failure" role="alert">{text("alerts.refused", { n: refused })}</p>}
    </div>
  );
}

function Table({ alerts, none }: { alerts: AlertNews[]; none: TextKey }) {
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const waiting = alerts.filter((a) => a.state === "firing");
  const choose: Choosing["choose"] = (id, yes) => {
    const next = new Set(chosen);
    if (yes) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  if (!alerts.length) return <p>{text(none)}</p>;
  return (
    <>
      {waiting.length > 0 && <Several waiting={waiting} chosen={chosen} setChosen={setChosen} />}
      <AlertTable alerts={alerts} {...(waiting.length ? { choosing: { chosen, choose } } : {})} />
    </>
  );
}

export function Alerts() {
  const [all, setAll] = useState(false);
  const changed = [...openAlerts.value.values()].map((a) => `${a.id}${a.state}${a.updated_ms}`).join();
  const loaded = useLoaded(() => (all ? list("GET /alerts", {}, MANY) : Promise.resolve([])), [all, all && changed]);
  return (
    <section>
      <h1>{text("alerts.title")}</h1>
      <AlertTabs here="alerts" />
      <div class="choice">
        <div class="ranges" role="group" aria-label={text("alerts.state")}>
          <button aria-pressed={!all} onClick={() => setAll(false)}>{text("alerts.open")} ({visibleAlerts.value.length})</button>
          <button aria-pressed={all} onClick={() => setAll(true)}>{text("alerts.all")}</button>
        </div>
        <UserField />
      </div>
      {all
        ? <Show of={loaded}>{(alerts) => <Table alerts={alerts.filter((a) => a.state !== "pending")} none="alerts.none.all" />}</Show>
        : <Table alerts={visibleAlerts.value} none="alerts.none.open" />}
    </section>
  );
}
