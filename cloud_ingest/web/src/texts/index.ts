// Texts in two languages; numbers and times in Vietnamese format.
import { signal } from "@preact/signals";
import { TIME_ZONE } from "../parts/localTime";
import en from "./en.json";
import vi from "./vi.json";

export type Language = "vi" | "en";
export type TextKey = keyof typeof vi;

const catalogues: Record<Language, Record<TextKey, string>> = { vi, en };

function remembered(): Language {
  try {
    const kept = localStorage.getItem("language");
    if (kept === "vi" || kept === "en") return kept;
  } catch {
    // Storage may be switched off; the choice then lasts as long as the page.
  }
  return navigator.language.startsWith("en") ? "en" : "vi";
}

export const language = signal<Language>(remembered());

export function choose(next: Language): void {
  language.value = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem("language", next);
  } catch {
    // As above.
  }
}

/** The text of `key` with `{name}` filled in. */
export function text(key: TextKey, values: Record<string, string | number> = {}): string {
  return catalogues[language.value][key].replace(/\{(\w+)\}/g, (all, name: string) =>
    String(values[name] ?? all),
  );
}

/** The text of a key made at run time, or `otherwise` where the catalogue has none. */
export function textOr(key: string, otherwise: string): string {
  return (catalogues[language.value] as Record<string, string>)[key] ?? otherwise;
}

const locale = () => (language.value === "vi" ? "vi-VN" : "en-GB");

/** A number with as many digits as its size deserves; an en dash where there is none. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

export function whole(value: number | null | undefined): string {
  return value === null || value === undefined
    ? "–"
    : new Intl.NumberFormat(locale(), { maximumFractionDigits: 0 }).format(value);
}

export function clock(time_ms: number, seconds = true): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: TIME_ZONE,
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {}),
    hour12: false,
  }).format(time_ms);
}

export function moment(time_ms: number | null | undefined): string {
  if (time_ms === null || time_ms === undefined) return text("time.never");
  const day = new Intl.DateTimeFormat(locale(), {
    timeZone: TIME_ZONE,
    day: "2-digit",
    month: "2-digit",
    year: "numeric",
  }).format(time_ms);
  return `${day} ${clock(time_ms)}`;
}

export function ago(time_ms: number | null | undefined, now_ms: number): string {
  if (time_ms === null || time_ms === undefined) return text("time.never");
  const s = Math.max(0, Math.round((now_ms - time_ms) / 1000));
  if (s < 60) return text("time.ago.s", { n: s });
  if (s < 3600) return text("time.ago.m", { n: Math.floor(s / 60) });
  if (s < 86400) return text("time.ago.h", { n: Math.floor(s / 3600) });
  return text("time.ago.d", { n: Math.floor(s / 86400) });
}

/** A span such as 1:05:09 (hours, minutes, seconds). */
export function span(from_ms: number, to_ms: number): string {
  const s = Math.max(0, Math.round((to_ms - from_ms) / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

const LENGTHS: [number, TextKey][] = [[86_400_000, "span.d"], [3_600_000, "span.h"], [60_000, "span.m"], [1000, "span.s"]];

/** A length of time in words, in the largest unit that divides it: "5 phút". */
export function duration(length_ms: number): string {
  const [size, key] = LENGTHS.find(([ms]) => length_ms >= ms && length_ms % ms === 0) ?? [1000, "span.s" as const];
  return text(key, { n: number(length_ms / size) });
}

const SIGNS: Record<string, string> = {
  "ug/m3": "µg/m³", "mg/m3": "mg/m³", "ng/m3": "ng/m³", Cel: "°C", "%": "%", deg: "°", "1": "",
  "[ppm]": "ppm", "[pH]": "", "dB[A]": "dBA", "[NTU]": "NTU", "uS/cm": "µS/cm", "W/m2": "W/m²",
  "m3/h": "m³/h", m3: "m³", "kW.h": "kWh", "V.A": "VA", "1/h": "/h", "dB[mW]": "dBm",
  "[Pt-Co]": "Pt-Co", "ug/L": "µg/L",
};

/** A UCUM code as people write the unit. */
export function unitSign(code: string): string {
  return SIGNS[code] ?? code;
}
