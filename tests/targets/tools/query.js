import { sleep } from "k6";
import { ingest, rates, read, stream } from "./sequencer.js";

export const options = rates;

export function setup() {
  ingest();
}

export default function () {
  read("/health", "health");
  read(`/api/v1/head?${stream}`, "head");
  const events = read(`/api/v1/events?${stream}&from=1&limit=10`, "events").json("events");
  read(`/api/v1/entities/order/${events[0].entity_id}`, "entity");
  read("/api/v1/ves/commitments", "commitments");
  sleep(0.1);
}
