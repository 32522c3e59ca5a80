// Who sits before the screen, as they say themselves; and doing something in their name.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { reasonOf } from "../api/reason";
import { text } from "../texts";

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

/** Whose name is written beside what is done here. */
export function Who() {
  return (
    <label class="who">
      {text("alerts.you")}
      <input value={officer.value} placeholder={text("alerts.you.placeholder")} maxLength={80} autocomplete="name"
        aria-describedby="who-note" onInput={(e) => rename(e.currentTarget.value)} />
      <small class="quiet" id="who-note">{text("alerts.you.note")}</small>
    </label>
  );
}

/** Does things in the officer's name; without a name nothing is done. `run` gives null if it failed. */
export function useDoing() {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async <T,>(work: (user: string) => Promise<T>): Promise<T | null> => {
    if (!officer.value.trim()) {
      setError(text("alerts.name_first"));
      document.querySelector<HTMLInputElement>(".who input")?.focus();
      return null;
    }
    setBusy(true);
    try {
      const done = await work(officer.value);
      setError(null);
      return done;
    } catch (problem) {
      setError(reasonOf(problem));
      return null;
    } finally {
      setBusy(false);
    }
  };
  return { error, busy, run };
}

/** Why something was not done. */
export function NotDone({ reason }: { reason: string | null }) {
  return reason ? <p class="failure" role="alert">{text("alerts.failed", { reason })}</p> : null;
}
