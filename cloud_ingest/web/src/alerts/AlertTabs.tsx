// The tabs of the pages about alerts.
import { text, type TextKey } from "../texts";

const TABS: [string, TextKey][] = [
  ["alerts", "tabs.alerts"], ["alerts/silences", "tabs.silences"], ["alerts/notifications", "tabs.notifications"], ["alerts/report", "tabs.report"], ["alerts/rules", "tabs.rules"],
];

export function AlertTabs({ here }: { here: string }) {
  return (
    <nav class="tabs" aria-label={text("tabs.label")}>
      {TABS.map(([path, key]) => <a key={path} href={`#/${path}`} aria-current={path === here ? "page" : undefined}>{text(key)}</a>)}
    </nav>
  );
}
