// The rules with their series, limits and legal basis.
import { list } from "../api/client";
import type { Rule } from "../api/types";
import { now } from "../live/state";
import { basisOf, dayOfLaw, holds } from "../alerts/legalBasis";
import { limitText } from "../charts/limitLines";
import { Show, useLoaded } from "../parts/loading";
import { SeverityBadge } from "../parts/marks";
import { Scroll } from "../parts/Scroll";
import { AlertTabs } from "../alerts/AlertTabs";
import { duration, language, moment, text, whole, type TextKey } from "../texts";

function limitWords({ limits }: Rule): string {
  const [low, high, more] = limits;
  if (low && high && !more && low.comparison === "outside") return text("rules.outside", { low: limitText(low), high: limitText(high) });
  return limits.map((l) => (l.comparison === "above" || l.comparison === "below" ? text(`rules.${l.comparison}`, { limit: limitText(l) }) : limitText(l))).join(" / ");
}

const LENGTHS: Record<string, TextKey> = { s: "span.s", m: "span.m", h: "span.h", d: "span.d" };

/** A length as the API writes it ("8h"), in words. */
function lengthWords(length: string | null): string {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(length ?? "") ?? [];
  const key = LENGTHS[unit ?? ""];
  return key && count ? text(key, { n: count }) : (length ?? "");
}

/** From when to when the document holds, where it says so. */
function datesOf(rule: Rule): string {
  const from = dayOfLaw(rule.legal?.effective_from, 0);
  const to = dayOfLaw(rule.legal?.effective_to, 0);
  const day = (time_ms: number) => moment(time_ms).slice(0, 10);
  return [from && text("rules.from", { day: day(from) }), to && text("rules.until", { day: day(to) })].filter(Boolean).join(", ");
}

function Basis({ rule }: { rule: Rule }) {
  if (rule.demonstration) return <span class="quiet">{text("alerts.demonstration")}</span>;
  if (!rule.legal) return null;
  return <>{basisOf(rule.legal)}<small class="quiet">{[text(rule.verified ? "rules.verified" : "alerts.unverified"), datesOf(rule)].filter(Boolean).join(" · ")}</small></>;
}

function Table({ rules, label }: { rules: Rule[]; label: string }) {
  return (
    <Scroll label={label}>
      <table class="stack">
        <thead>
          <tr><th>{text("silence.rule")}</th><th>{text("alerts.severity")}</th><th>{text("chart.limits")}</th><th>{text("rules.averaging")}</th><th>{text("alerts.legal")}</th><th class="num">{text("rules.series")}</th></tr>
        </thead>
        <tbody>
          {rules.map((r) => (
            <tr key={r.rule}>
              <td class="what" data-label={text("silence.rule")}>{r.name[language.value]}<small class="quiet" translate={false}>{r.rule}</small></td>
              <td data-label={text("alerts.severity")}><span><SeverityBadge severity={r.severity} /></span></td>
              <td data-label={text("chart.limits")}><span>{limitWords(r)}</span>{r.hold_ms > 0 && <small class="quiet">{text("rules.hold", { time: duration(r.hold_ms) })}</small>}</td>
              <td data-label={text("rules.averaging")}>{lengthWords(r.averaging)}</td>
              <td class="long" data-label={text("alerts.legal")}><span><Basis rule={r} /></span></td>
              <td class="num" data-label={text("rules.series")}>{whole(r.series.length)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Folded({ rules, title }: { rules: Rule[]; title: TextKey }) {
  if (!rules.length) return null;
  const said = text(title, { n: rules.length });
  return <details><summary>{said}</summary><Table rules={rules} label={said} /></details>;
}

export function Rules() {
  const loaded = useLoaded(() => list("GET /rules"), []);
  return (
    <section>
      <h1>{text("tabs.rules")}</h1>
      <AlertTabs here="alerts/rules" />
      <p class="quiet note">{text("rules.note")}</p>
      <Show of={loaded}>
        {(rules) => {
          const holding = rules.filter((r) => r.enabled && holds(r, now.peek(), now.peek()));
          const watching = holding.filter((r) => r.series.length);
          const said = text("rules.watching", { n: watching.length });
          return (
            <>
              <h2>{said}</h2>
              {watching.length ? <Table rules={watching} label={said} /> : <p>{text("rules.none")}</p>}
              <Folded rules={holding.filter((r) => !r.series.length)} title="rules.idle" />
              <Folded rules={rules.filter((r) => r.enabled && !holding.includes(r))} title="rules.ended" />
              <Folded rules={rules.filter((r) => !r.enabled)} title="rules.off" />
            </>
          );
        }}
      </Show>
    </section>
  );
}
