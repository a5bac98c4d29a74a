import { sleep } from "k6";
import { ingest, rates, read, stream } from "./sequencer.js";

export const options = rates;

export default function () {
  const chance = Math.random();
  if (chance < 0.7) ingest();
  else if (chance < 0.9) read(`/api/v1/events?${stream}&from=0&limit=100`, "events");
  else read(`/api/v1/ves/commitments?${stream}`, "commitments");
  sleep(0.1);
}
