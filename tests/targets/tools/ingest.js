import { sleep } from "k6";
import { ingest, rates } from "./sequencer.js";

export const options = rates;

export default function () {
  ingest();
  sleep(0.1);
}
