// Scrolls a table that may be wider than the screen, by touch and by keyboard.
import type { ComponentChildren } from "preact";

export function Scroll(props: { label: string; tall?: boolean; children: ComponentChildren }) {
  return (
    <div class={props.tall ? "scroll tall" : "scroll"} role="region" aria-label={props.label} tabIndex={0}>
      {props.children}
    </div>
  );
}
