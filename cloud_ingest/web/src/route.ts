// The current page, kept in the address after the #, so that a link to it can be sent.
import { signal } from "@preact/signals";

export interface Route {
  path: string[];
  query: URLSearchParams;
}

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decodeURIComponent),
    query: new URLSearchParams(query),
  };
}

export const route = signal<Route>(read());
addEventListener("hashchange", () => {
  route.value = read();
  scrollTo(0, 0);
});

export const toStation = (id: string) => `#/station/${encodeURIComponent(id)}`;
export const toSilences = (station: string) => `#/alerts/silences?${new URLSearchParams({ station })}`;
export const toReport = (station: string) => `#/alerts/report?${new URLSearchParams({ station })}`;
export const toGateway = (id: string) => `#/system/${encodeURIComponent(id)}`;
export const toAlert = (id: number) => `#/alerts/${id}`;
export const toChart = (series: string, extra: Record<string, string> = {}) =>
  `#/chart?${new URLSearchParams({ series, ...extra })}`;
export const toCompare = (series: string[], range: string) =>
  `#/compare?${new URLSearchParams([...series.map((s) => ["series", s]), ["range", range]])}`;
