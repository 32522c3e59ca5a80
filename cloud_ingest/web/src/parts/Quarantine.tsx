// Rejected messages with the reason; each can be replayed after a fix, or deleted.
import { act } from "../api/client";
import type { Quarantined } from "../api/types";
import { moment, text, whole } from "../texts";
import { ActionFailure, useUserAction } from "./user";
import { Scroll } from "./Scroll";

const SHOWN = 600;

/** The beginning of a payload: as text if it is text, otherwise as hexadecimal numbers. */
function payloadOf(item: Quarantined): string {
  const bytes = Uint8Array.from(atob(item.payload_base64), (c) => c.charCodeAt(0)).slice(0, SHOWN);
  try {
    const said = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (/^[\P{C}\s]*$/u.test(said)) return said;
  } catch {
    // Not text: shown as hexadecimal numbers.
  }
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");
}

function Row({ item, reload }: { item: Quarantined; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const replay = async () => (await run((user) => act("POST /quarantine/{item}/replay", { item: item.id }, undefined, user))) !== null && reload();
  const forget = async () => {
    if (!confirm(text("system.forget.sure"))) return;
    await run((user) => act("DELETE /quarantine/{item}", { item: item.id }, undefined, user));
    reload();
  };
  return (
    <tr>
      <td data-label={text("value.time")}>{moment(item.time_ms)}</td>
      <td class="long" translate={false} data-label={text("system.topic")}>{item.topic}
        <details><summary lang="" translate={false}>{whole(item.size)} B</summary><code class="payload">{payloadOf(item)}</code></details>
      </td>
      <td class="long" lang="en" translate={false} data-label={text("system.reason")}>{item.reason}</td>
      <td class="num" data-label={text("system.count")}>{whole(item.count)}</td>
      <td>
        <p class="buttons">
          <button disabled={busy || !item.replayable} title={item.replayable ? undefined : text("system.no_replay")} onClick={() => void replay()}>{text("system.replay")}</button>
          <button disabled={busy} onClick={() => void forget()}>{text("system.forget")}</button>
        </p>
        <ActionFailure reason={error} />
      </td>
    </tr>
  );
}

/** Replays all replayable messages, one after the other. */
function All({ items, reload }: { items: Quarantined[]; reload: () => void }) {
  const { error, busy, run } = useUserAction();
  const again = items.filter((q) => q.replayable);
  if (again.length < 2) return null;
  const replay = async () => {
    await run(async (user) => {
      for (const item of again) await act("POST /quarantine/{item}/replay", { item: item.id }, undefined, user);
    });
    reload();
  };
  return (
    <div class="several">
      <button disabled={busy} onClick={() => void replay()}>{text("system.replay_all", { n: again.length })}</button>
      <ActionFailure reason={error} />
    </div>
  );
}

export function Quarantine({ items, reload }: { items: Quarantined[]; reload: () => void }) {
  if (!items.length) return <p>{text("system.quarantine.none")}</p>;
  return (
    <>
      <All items={items} reload={reload} />
      <Scroll tall label={text("system.quarantine")}>
        <table class="stack">
          <thead><tr><th>{text("value.time")}</th><th>{text("system.topic")}</th><th>{text("system.reason")}</th><th class="num">{text("system.count")}</th><th>{text("alerts.do")}</th></tr></thead>
          <tbody>{items.map((q) => <Row key={q.id} item={q} reload={reload} />)}</tbody>
        </table>
      </Scroll>
    </>
  );
}
