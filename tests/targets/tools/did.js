// Wallets of 50 letters and digits, and hashes of 64, which are not hex.
import { check, sleep } from "k6";
import http from "k6/http";
import { Rate, Trend } from "k6/metrics";

const base = __ENV.API_URL;
const errors = new Rate("errors");
const enrollmentMs = new Trend("enrollment_duration", true);
const verificationMs = new Trend("verification_duration", true);
const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

// 401 is for a wallet that is not enrolled, 409 for one that is.
http.setResponseCallback(http.expectedStatuses(200, 201, 401, 409));
export const options = { thresholds: { errors: ["rate==0"], http_req_failed: ["rate==0"] } };

function text(length) {
  let made = "";
  for (let i = 0; i < length; i++) made += letters[Math.floor(Math.random() * letters.length)];
  return made;
}

const person = { wallet_address: `addr_test1${text(50)}`, biometric_hash: text(64) };

function send(path, fields) {
  const headers = { "Content-Type": "application/json" };
  return http.post(`${base}/api/v1/did/${path}`, JSON.stringify({ ...person, ...fields }), { headers });
}

export function setup() {
  check(http.get(`${base}/health`), { healthy: (r) => r.status === 200 });
}

export default function () {
  const chance = Math.random();
  if (chance < 0.2) {
    errors.add(!check(http.get(`${base}/health`), { "health is 200": (r) => r.status === 200 }));
  } else if (chance < 0.4) {
    const reply = send("enroll", { metadata: { device_id: `device-${__VU}`, enrollment_type: "fingerprint" } });
    enrollmentMs.add(reply.timings.duration);
    errors.add(!check(reply, { "enroll is 201 or 409": (r) => [201, 409].includes(r.status) }));
  } else {
    const reply = send("verify", { timestamp: Math.floor(Date.now() / 1000) });
    verificationMs.add(reply.timings.duration);
    errors.add(!check(reply, { "verify is 200 or 401": (r) => [200, 401].includes(r.status) }));
  }
  sleep(0.05 + Math.random() * 0.1);
}
