// The addresses come from a file that all VUs share.
import { check, sleep } from "k6";
import { SharedArray } from "k6/data";
import http from "k6/http";
import { Rate, Trend } from "k6/metrics";

const base = __ENV.EMBED_API_URL;
const scorer = __ENV.SCORER_ID;
const headers = { "X-API-KEY": __ENV.API_KEY, "Content-Type": "application/json" };
const addresses = new SharedArray("addresses", () => JSON.parse(open(__ENV.ADDRESSES_FILE)));
const scoreMs = new Trend("score_get_duration", true);
const verifyMs = new Trend("auto_verify_duration", true);
const scoreErrors = new Rate("score_get_errors");
const verifyErrors = new Rate("auto_verify_errors");

export const options = {
  thresholds: { score_get_errors: ["rate==0"], auto_verify_errors: ["rate==0"], http_req_failed: ["rate==0"] },
};

export default function () {
  const address = addresses[Math.floor(Math.random() * addresses.length)];
  const got = http.get(`${base}/embed/score/${scorer}/${address}`, { headers });
  scoreMs.add(got.timings.duration);
  scoreErrors.add(!check(got, { "score is 200": (r) => r.status === 200 && r.json("score") !== undefined }));
  const body = JSON.stringify({ address, scorerId: scorer });
  const verified = http.post(`${base}/embed/auto-verify`, body, { headers });
  verifyMs.add(verified.timings.duration);
  verifyErrors.add(!check(verified, { "verify is 200": (r) => r.status === 200 && r.json("score") !== undefined }));
  sleep(0.1);
}
