// Events of gateways and devices, newest first.
import type { Event } from "../api/types";
import { moment, text, textOr } from "../texts";
import { Scroll } from "./Scroll";

export function EventList({ items }: { items: Event[] }) {
  if (!items.length) return <p>{text("events.none")}</p>;
  return (
    <Scroll tall label={text("events.title")}>
      <table>
        <thead><tr><th>{text("value.time")}</th><th>{text("events.what")}</th><th>{text("system.gateway")}</th><th>{text("system.device")}</th></tr></thead>
        <tbody>
          {items.map((e) => (
            <tr key={e.id}>
              <td>{moment(e.time_ms)}</td><td title={e.message}>{textOr(`happened.${e.kind}`, e.message)}</td>
              <td class="id" translate={false}>{e.gateway}</td><td translate={false}>{e.device ?? ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
