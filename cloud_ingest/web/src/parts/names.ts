// Names for people of quantities and metrics.
import { quantities } from "../live/state";
import { language } from "../texts";

export function quantityName(name: string, metric = name): string {
  const known = quantities.value.get(name);
  return known ? known[language.value] : metric;
}
