// The widget's handshake with its pauses: the k6 side of widget.py, step by step and metric by metric.
import http from "k6/http";
import { check, group, sleep } from "k6";
import { Counter, Rate, Trend } from "k6/metrics";

const url = __ENV.URL;
const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
const tokenOk = new Rate("token_success");
const validateOk = new Rate("validate_success");
const tokenMs = new Trend("token_latency", true);
const validateMs = new Trend("validate_latency", true);
const handshakeMs = new Trend("handshake_latency", true);
const latenessMs = new Trend("sleep_lateness", true);
const errors = new Counter("errors");

export const options = { summaryTrendStats: ["avg", "med", "p(95)", "p(99)", "p(99.9)", "max"] };

function pause(least, most) {
  const asked = least + Math.random() * (most - least);
  const before = Date.now();
  sleep(asked);
  latenessMs.add(Math.max(0, Date.now() - before - asked * 1000));
}

function handshake() {
  const shop = `shop-${__VU % 100}.example`;
  const headers = { Origin: `https://${shop}`, "User-Agent": agent };
  const given = http.get(`${url}/api/embed/token?shop=${shop}`, { headers, tags: { name: "token" } });
  tokenMs.add(given.timings.duration);
  tokenOk.add(given.status === 200);
  if (!check(given, { "token: status is 200": (r) => r.status === 200 })) {
    errors.add(1);
    return;
  }
  const token = given.json();
  pause(0, 0.5);
  headers.Authorization = `Bearer ${token.token}`;
  headers["Content-Type"] = "application/json";
  const body = JSON.stringify({ nonce: token.nonce });
  const reply = http.post(`${url}/api/embed/validate`, body, { headers, tags: { name: "validate" } });
  validateMs.add(reply.timings.duration);
  handshakeMs.add(given.timings.duration + reply.timings.duration);
  const valid = check(reply, { valid: (r) => r.status === 200 && r.json("valid") === true });
  validateOk.add(valid);
  if (!valid) errors.add(1);
}

export default function () {
  group("Widget Handshake Flow", handshake);
  pause(1, 3);
}
