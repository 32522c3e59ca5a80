// The name of the user, as they enter it, and actions in that name.
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
const userName = signal(rememberedName());

function rename(name: string): void {
  userName.value = name;
  try {
    localStorage.setItem("officer", name);
  } catch {
    // Storage may be switched off; the name then lasts as long as the page.
  }
}

/** The field for the user's name, which is recorded with every action. */
export function UserField() {
  return (
    <label class="who">
      {text("alerts.you")}
      <input value={userName.value} placeholder={text("alerts.you.placeholder")} maxLength={80} autocomplete="name"
        aria-describedby="who-note" onInput={(e) => rename(e.currentTarget.value)} />
      <small class="quiet" id="who-note">{text("alerts.you.note")}</small>
    </label>
  );
}

/** Runs actions in the user's name; without a name none is run. `run` returns null if it failed. */
export function useUserAction() {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async <T,>(work: (user: string) => Promise<T>): Promise<T | null> => {
    if (!userName.value.trim()) {
      setError(text("alerts.name_first"));
      document.querySelector<HTMLInputElement>(".who input")?.focus();
      return null;
    }
    setBusy(true);
    try {
      const done = await work(userName.value);
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

/** The reason why an action failed. */
export function ActionFailure({ reason }: { reason: string | null }) {
  return reason ? <p class="failure" role="alert">{text("alerts.failed", { reason })}</p> : null;
}
