// The end of a silence: after a duration, at a time, or open.
import { text, type TextKey } from "../texts";
import { momentOf } from "../parts/localTime";

const LENGTHS = { "1h": 3600e3, "4h": 4 * 3600e3, "24h": 86400e3, "7d": 7 * 86400e3 };
export interface Until {
  choice: keyof typeof LENGTHS | "moment" | "open";
  /** The content of the date and time field, if `choice` is a moment. */
  moment: string;
}

/** The end as UTC milliseconds, counted from `start_ms`; null: open. */
export function untilMs(until: Until, start_ms: number): number | null {
  if (until.choice === "open") return null;
  return until.choice === "moment" ? momentOf(until.moment) : start_ms + LENGTHS[until.choice];
}

export function UntilField({ value, onChange, open }: { value: Until; onChange: (until: Until) => void; open: TextKey }) {
  return (
    <>
      <label>{text("silence.until")}
        <select value={value.choice} onChange={(e) => onChange({ ...value, choice: e.currentTarget.value as Until["choice"] })}>
          {Object.keys(LENGTHS).map((length) => <option key={length} value={length}>{text(`silence.length.${length}` as TextKey)}</option>)}
          <option value="moment">{text("silence.until.moment")}</option>
          <option value="open">{text(open)}</option>
        </select>
      </label>
      {value.choice === "moment" && (
        <label>{text("silence.end")}
          <input type="datetime-local" required value={value.moment} onInput={(e) => onChange({ ...value, moment: e.currentTarget.value })} />
        </label>
      )}
    </>
  );
}
