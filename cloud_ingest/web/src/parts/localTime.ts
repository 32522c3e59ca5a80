// Vietnam's time, in which the page shows and reads all times, wherever the browser is: the one place
// of its zone. A test compares it with telemetry/time/local_time.py.
export const TIME_ZONE = "Asia/Ho_Chi_Minh";
const UTC_OFFSET_H = 7;
const ISO_OFFSET = `+${String(UTC_OFFSET_H).padStart(2, "0")}:00`;
export const UTC_OFFSET_MS = UTC_OFFSET_H * 3600e3;
export const DAY_MS = 86400e3;

/** UTC milliseconds of the content of a date and time field; null if it is empty. */
export function momentOf(field: string): number | null {
  const time_ms = Date.parse(`${field.length === 16 ? `${field}:00` : field}${ISO_OFFSET}`);
  return Number.isNaN(time_ms) ? null : time_ms;
}

/** The content of a date and time field for a time. */
export function fieldOf(time_ms: number): string {
  return new Date(time_ms + UTC_OFFSET_MS).toISOString().slice(0, 16);
}

/** The local day of a time as YYYY-MM-DD. */
export function dayOf(time_ms: number): string {
  return fieldOf(time_ms).slice(0, 10);
}

/** The start of a local day; null if the text is not a day. */
export function dayStart(day: string): number | null {
  return /^\d{4}-\d{2}-\d{2}$/.test(day) ? momentOf(`${day}T00:00`) : null;
}
