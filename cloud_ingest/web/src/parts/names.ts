// Display names of stations, quantities and metrics.
import { quantities, stations } from "../live/state";
import { language } from "../texts";

export function quantityName(name: string, metric = name): string {
  const known = quantities.value.get(name);
  return known ? known[language.value] : metric;
}

export const stationName = (id: string | null): string => stations.value?.find((s) => s.id === id)?.name ?? id ?? "–";
