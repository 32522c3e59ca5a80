// The frame: navigation bar and the page that the address names.
import "@fontsource/be-vietnam-pro/400.css";
import "@fontsource/be-vietnam-pro/600.css";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { begin, connection, visibleAlerts } from "./live/state";
import { AlertPage } from "./pages/AlertPage";
import { Alerts } from "./pages/Alerts";
import { ChartPage } from "./pages/ChartPage";
import { ComparePage } from "./pages/ComparePage";
import { GatewayPage } from "./pages/GatewayPage";
import { Notifications } from "./pages/Notifications";
import { Report } from "./pages/Report";
import { Rules } from "./pages/Rules";
import { Silences } from "./pages/Silences";
import { StationPage } from "./pages/StationPage";
import { Stations } from "./pages/Stations";
import { System } from "./pages/System";
import { route } from "./route";
import "./style.css";
import { choose, clock, language, text, type TextKey } from "./texts";

const PLACES: [string, TextKey][] = [["", "nav.stations"], ["alerts", "nav.alerts"], ["chart", "nav.charts"], ["system", "nav.system"]];

/** The entry of the bar that a page belongs to. */
const placeOf = (first: string) => ({ station: "", compare: "chart" })[first] ?? first;

function Live() {
  const now = connection.value;
  const says = now.state === "stale" ? text("live.stale", { time: clock(now.since_ms) }) : text(`live.${now.state}`);
  return <span class={`live ${now.state}`} role="status">{says}</span>;
}

function Bar() {
  const current = placeOf(route.value.path[0] ?? "");
  return (
    <header>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{text("skip")}</a>
      <a class="brand" href="#/"><img src="/icon.svg" alt="" width="28" height="28" /> Quantrac <small>{text("app.tagline")}</small></a>
      <nav aria-label={text("nav.main")}>
        {PLACES.map(([path, key]) => (
          <a key={path} href={`#/${path}`} aria-current={path === current ? "page" : undefined}>
            {text(key)}
            {path === "alerts" && visibleAlerts.value.length > 0 && <span class="count">{visibleAlerts.value.length}</span>}
          </a>
        ))}
      </nav>
      <Live />
      <div class="languages" role="group" aria-label={text("language")}>
        <button lang="vi" aria-pressed={language.value === "vi"} onClick={() => choose("vi")}>Tiếng Việt</button>
        <button lang="en" aria-pressed={language.value === "en"} onClick={() => choose("en")}>English</button>
      </div>
    </header>
  );
}

/** The title of the browser's tab. */
function title(): string {
  const here = placeOf(route.value.path[0] ?? "");
  const place = PLACES.find(([path]) => path === here);
  const waiting = visibleAlerts.value.length;
  return `${waiting ? `(${waiting}) ` : ""}${text(place ? place[1] : "notfound")} – Quantrac`;
}

function Page() {
  const [first, second] = route.value.path;
  if (!first) return <Stations />;
  if (first === "station" && second) return <StationPage id={second} />;
  if (first === "alerts" && (!second || /^\d+$/.test(second))) return second ? <AlertPage id={Number(second)} /> : <Alerts />;
  if (first === "alerts" && second === "silences") return <Silences />;
  if (first === "alerts" && second === "notifications") return <Notifications />;
  if (first === "alerts" && second === "report") return <Report />;
  if (first === "alerts" && second === "rules") return <Rules />;
  if (first === "chart") return <ChartPage />;
  if (first === "compare") return <ComparePage />;
  if (first === "system") return second ? <GatewayPage id={second} /> : <System />;
  return <h1>{text("notfound")}</h1>;
}

function App() {
  const says = title();
  useEffect(() => void (document.title = says), [says]);
  return (
    <>
      <Bar />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
    </>
  );
}

choose(language.value);
begin();
const root = document.getElementById("app");
if (root) render(<App />, root);
