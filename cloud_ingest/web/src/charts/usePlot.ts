// A uPlot that follows the size of its box and the colour theme, and is read by mouse and keyboard.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { nearest } from "./timeAxis";

interface Source {
  options: (width: number) => uPlot.Options;
  /** The columns; null: nothing to draw. */
  data: () => uPlot.AlignedData | null;
  /** The times that can be read, in ms, sorted. */
  times: number[];
}

/** The plot is made again when `keys` change. `at_ms` is the time that is being read, or null. */
export function usePlot(source: Source, keys: unknown[]) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const current = useRef(source);
  current.current = source;
  const [at_ms, show] = useState<number | null>(null);
  // Keys may come faster than the page is drawn: the next one starts from here, not from what is shown.
  const here_ms = useRef<number | null>(null);
  const setAt = (time_ms: number | null) => {
    here_ms.current = time_ms;
    show(time_ms);
  };

  useEffect(() => {
    const holder = box.current;
    if (!holder) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = null;
      const data = current.current.data();
      if (!data) return;
      const made = new uPlot(current.current.options(holder.clientWidth), data, holder);
      made.over.addEventListener("mousemove", () => {
        const left = made.cursor.left ?? -1;
        const { times } = current.current;
        const i = left < 0 ? null : nearest(times, made.posToVal(left, "x") * 1000);
        setAt(i === null ? null : (times[i] ?? null));
      });
      made.over.addEventListener("mouseleave", () => setAt(null));
      plot.current = made;
    };
    draw();
    let before = holder.clientWidth;
    const watch = new ResizeObserver(() => {
      if (holder.clientWidth === before) return;
      before = holder.clientWidth;
      draw();
    });
    watch.observe(holder);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      watch.disconnect();
      theme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, keys);

  const onKeyDown = (event: KeyboardEvent) => {
    const { times } = current.current;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -times.length, End: times.length }[event.key];
    if (step === undefined || !times.length) return;
    event.preventDefault();
    const here = here_ms.current === null ? times.length - 1 : (nearest(times, here_ms.current) ?? 0);
    const next = times[Math.min(times.length - 1, Math.max(0, here + step))] ?? 0;
    setAt(next);
    plot.current?.setCursor({ left: plot.current.valToPos(next / 1000, "x"), top: 10 }, false);
  };
  return { plot, at_ms, holder: { ref: box, tabIndex: 0, role: "img" as const, onKeyDown, onBlur: () => setAt(null) } };
}
