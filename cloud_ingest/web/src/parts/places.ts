// Where something is, in names for people.
import { stations } from "../live/state";

export const stationName = (id: string | null): string => stations.value?.find((s) => s.id === id)?.name ?? id ?? "–";
