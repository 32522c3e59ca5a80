// The stations on a map without a tile server: outlines of the provinces, markers reachable by Tab.
import type { FeatureCollection } from "geojson";
import L from "leaflet";
import "leaflet/dist/leaflet.css";
import { useEffect, useRef } from "preact/hooks";
import type { Station } from "../api/types";
import { levelOf, stations } from "../live/state";
import { levelSign } from "../parts/marks";
import { toStation } from "../route";
import { language, text } from "../texts";
import provinces from "./provinces.json";

const MIDDLE: L.LatLngTuple = [11.05, 106.68];
const AROUND = L.latLngBounds([9.9, 105.4], [12.4, 108.0]);

function icon(station: Station): L.DivIcon {
  const level = levelOf(station);
  return L.divIcon({
    className: "",
    html: `<span class="pin mark ${level}">${levelSign(level)}</span>`,
    iconSize: [30, 30],
    iconAnchor: [15, 15],
  });
}

function place(station: Station): L.Marker | null {
  if (station.latitude === null || station.longitude === null) return null;
  const marker = L.marker([station.latitude, station.longitude], {
    icon: icon(station),
    title: station.name,
    keyboard: true,
  });
  const says = `${station.name}: ${text(`legend.${levelOf(station)}`)}`;
  marker.on("add", () => marker.getElement()?.setAttribute("aria-label", says));
  const label = document.createElement("span");
  label.textContent = station.name;
  marker.bindTooltip(label, { permanent: true, direction: "right", offset: [14, 0], className: "place" });
  marker.on("click keypress", () => (location.hash = toStation(station.id)));
  return marker;
}

export function StationMap() {
  const box = useRef<HTMLDivElement>(null);
  const map = useRef<L.Map | null>(null);
  const markers = useRef<L.LayerGroup>(L.layerGroup());
  const fitted = useRef(false);

  useEffect(() => {
    if (!box.current) return;
    const made = L.map(box.current, {
      center: MIDDLE, zoom: 9, minZoom: 8, maxZoom: 16, maxBounds: AROUND.pad(0.3),
      attributionControl: false, zoomControl: false, zoomAnimation: false,
    });
    L.geoJSON(provinces as FeatureCollection, {
      interactive: false,
      style: (f) => ({ className: f?.properties.name === "Bình Dương" ? "home" : "province" }),
    }).addTo(made);
    markers.current.addTo(made);
    map.current = made;
    const watch = new ResizeObserver(() => made.invalidateSize());
    watch.observe(box.current);
    return () => {
      watch.disconnect();
      made.remove();
      map.current = null;
    };
  }, []);

  useEffect(() => {
    const buttons = L.control.zoom({ zoomInTitle: text("map.closer"), zoomOutTitle: text("map.farther") });
    if (map.current) buttons.addTo(map.current);
    return () => void buttons.remove();
  }, [language.value]);

  const shown = (stations.value ?? []).map((s) => `${s.id}|${s.name}|${levelOf(s)}`).join();
  useEffect(() => {
    markers.current.clearLayers();
    const placed = (stations.value ?? []).map(place).filter((m) => m !== null);
    placed.forEach((m) => m.addTo(markers.current));
    if (placed.length && !fitted.current) {
      fitted.current = true;
      map.current?.fitBounds(L.latLngBounds(placed.map((m) => m.getLatLng())).pad(0.6), { maxZoom: 11, animate: false });
    }
  }, [shown, language.value]);

  return <div class="map" ref={box} role="region" aria-label={text("stations.map")} />;
}
