// A table of alerts. Each can be acknowledged; several can be selected.
import { act } from "../api/client";
import type { AlertNews } from "../api/types";
import { noteAlert, now } from "../live/state";
import { toAlert } from "../route";
import { language, moment, number, span, text, unitSign, type TextKey } from "../texts";
import { SeverityBadge } from "../parts/marks";
import { ActionFailure, useUserAction } from "../parts/user";
import { stationName } from "../parts/names";
import { Scroll } from "../parts/Scroll";

export interface Choosing {
  chosen: ReadonlySet<number>;
  choose: (id: number, yes: boolean) => void;
}

export function valueAndLimit(alert: AlertNews): string {
  const unit = alert.unit ? unitSign(alert.unit) : "";
  if (alert.value === null && alert.peak === null) return "–";
  const value = number(alert.peak ?? alert.value);
  return `${value}${alert.limit === null ? "" : ` / ${number(alert.limit)}`} ${unit}`;
}

/** Acknowledges one alert in the user's name. */
export function useAcknowledge() {
  const { error, busy, run } = useUserAction();
  const acknowledge = async (alert: AlertNews) => {
    const done = await run((user) => act("POST /alerts/{alert_id}/acknowledge", { alert_id: alert.id }, { note: null }, user));
    if (done) noteAlert(done);
    return done;
  };
  return { error, busy, acknowledge };
}

function Row({ alert, choosing }: { alert: AlertNews; choosing: Choosing | undefined }) {
  const { error, busy, acknowledge } = useAcknowledge();
  const waits = alert.state === "firing";
  return (
    <tr class={alert.state}>
      {choosing && (
        <td class="pick">
          {waits && <input type="checkbox" aria-label={text("alerts.choose", { what: alert.text[language.value] })} checked={choosing.chosen.has(alert.id)}
            onChange={(e) => choosing.choose(alert.id, e.currentTarget.checked)} />}
        </td>
      )}
      <td><SeverityBadge severity={alert.severity} /></td>
      <td class="what">
        <a href={toAlert(alert.id)}>{alert.text[language.value]}</a>
        {alert.device && alert.metric && <small class="quiet" translate={false}>{alert.device} · {alert.metric}</small>}
        {alert.retrospective && <small class="quiet"> {text("alerts.retrospective")}</small>}
        {alert.silenced && <small class="quiet"> {text("alerts.silenced")}</small>}
        <ActionFailure reason={error} />
      </td>
      <td>{stationName(alert.station)}</td>
      <td class="wide-only">{moment(alert.start_ms)}</td>
      <td class="num">{span(alert.start_ms, alert.end_ms ?? now.value)}</td>
      <td class="num">{valueAndLimit(alert)}</td>
      <td>{text(`state.${alert.state}`)}{alert.assignee && <small class="quiet"> → {alert.assignee}</small>}</td>
      <td>{waits && <button class="act" disabled={busy} onClick={() => void acknowledge(alert)}>{text("alerts.acknowledge")}</button>}</td>
    </tr>
  );
}

const HEAD: [TextKey, string][] = [
  ["alerts.severity", ""], ["alerts.what", ""], ["alerts.where", ""], ["alerts.since", "wide-only"],
  ["alerts.duration", "num"], ["alerts.value", "num"], ["alerts.state", ""], ["alerts.do", ""],
];

export function AlertTable({ alerts, choosing }: { alerts: AlertNews[]; choosing?: Choosing }) {
  return (
    <Scroll label={text("alerts.title")}>
      <table class="alerts">
        <thead>
          <tr>
            {choosing && <th><span class="hidden">{text("alerts.chosen")}</span></th>}
            {HEAD.map(([key, kind]) => <th key={key} class={kind}>{text(key)}</th>)}
          </tr>
        </thead>
        <tbody>{alerts.map((a) => <Row key={a.id} alert={a} choosing={choosing} />)}</tbody>
      </table>
    </Scroll>
  );
}
