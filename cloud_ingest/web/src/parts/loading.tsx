// Shows what a promise is doing: loading, failed with a way to try again, or its result.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { reasonOf } from "../api/reason";
import { text } from "../texts";

interface Loaded<T> {
  data: T | null;
  error: string | null;
  reload: () => void;
}

/** The result of `read`, read again when `keys` change, and every `every_ms` if given. */
export function useLoaded<T>(
  read: () => Promise<T>,
  keys: unknown[],
  every_ms?: number,
): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => setData(null), keys);
  useEffect(() => {
    let current = true;
    const once = () =>
      read().then(
        (result) => {
          if (!current) return;
          setData(result);
          setError(null);
        },
        (problem: unknown) => {
          if (current) setError(reasonOf(problem));
        },
      );
    void once();
    const timer = every_ms ? setInterval(() => void once(), every_ms) : undefined;
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [...keys, turn]);
  return { data, error, reload: useCallback(() => setTurn((n) => n + 1), []) };
}

export function Failure({ reason, retry }: { reason: string; retry?: () => void }) {
  return (
    <p class="failure" role="alert">
      {text("error.load", { reason })}{" "}
      {retry && <button onClick={retry}>{text("error.retry")}</button>}
    </p>
  );
}

export function Show<T>(props: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  const { data, error, reload } = props.of;
  if (data !== null)
    return (
      <>
        {error && <Failure reason={error} retry={reload} />}
        {props.children(data)}
      </>
    );
  return error ? (
    <Failure reason={error} retry={reload} />
  ) : (
    <p class="quiet loading">{text("loading")}</p>
  );
}
