// Small marks that show a state by shape, colour and words.
import type { Severity } from "../api/types";
import type { Level } from "../live/state";
import { text, textOr } from "../texts";

const SIGN: Record<Level, string> = { ok: "✓", info: "i", warning: "!", critical: "‼", offline: "–" };

export function levelSign(level: Level): string {
  return SIGN[level];
}

export function LevelMark({ level }: { level: Level }) {
  return (
    <span class={`mark ${level}`} role="img" aria-label={text(`legend.${level}`)} title={text(`legend.${level}`)}>
      {SIGN[level]}
    </span>
  );
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  return <span class={`badge ${severity}`}>{text(`severity.${severity}`)}</span>;
}

export function QualityMark({ quality }: { quality: number }) {
  const name = textOr(`quality.${quality}`, String(quality));
  return <span class={`quality q${quality}`}>{name}</span>;
}
