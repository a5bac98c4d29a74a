// Scores of addresses, read and then verified again: the k6 side of scenarios/score.py. The addresses are k6's own
// shared array: one copy, as JSON, of which every VU decodes the element it asks for.
import http from "k6/http";
import { check } from "k6";
import exec from "k6/execution";
import { Rate, Trend } from "k6/metrics";
import { SharedArray } from "k6/data";

const url = __ENV.URL;
const scorer = __ENV.SCORER_ID;
const headers = { "X-API-Key": __ENV.API_KEY };
const addresses = new SharedArray("addresses", () => JSON.parse(open(__ENV.ADDRESSES_FILE)));
const scoreMs = new Trend("score_get_duration", true);
const verifyMs = new Trend("auto_verify_duration", true);
const scoreErrors = new Rate("score_get_errors");
const verifyErrors = new Rate("auto_verify_errors");

function isScored(reply, name) {
  return check(reply, {
    [`${name}: status is 200`]: (r) => r.status === 200,
    [`${name}: has a score`]: (r) => r.status === 200 && "score" in r.json(),
  });
}

export default function () {
  const address = addresses[exec.scenario.iterationInTest % addresses.length];
  const got = http.get(`${url}/embed/score/${scorer}/${address}`, { headers, tags: { name: "score" } });
  scoreMs.add(got.timings.duration);
  scoreErrors.add(!isScored(got, "score"));

  const body = JSON.stringify({ address, scorerId: scorer });
  const json = { ...headers, "Content-Type": "application/json" };
  const verified = http.post(`${url}/embed/auto-verify`, body, { headers: json, tags: { name: "auto-verify" } });
  verifyMs.add(verified.timings.duration);
  verifyErrors.add(!isScored(verified, "auto-verify"));
}
