// The shop is in the Origin alone: k6 has no option for a query, and ignores this one.
import { check, group, sleep } from "k6";
import http from "k6/http";
import { Counter, Rate, Trend } from "k6/metrics";

const base = __ENV.WIDGET_URL;
const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
const tokenOk = new Rate("token_success");
const validateOk = new Rate("validate_success");
const handshakeMs = new Trend("handshake_latency", true);
const errors = new Counter("errors");

export const options = {
  thresholds: { token_success: ["rate==1"], validate_success: ["rate==1"], http_req_failed: ["rate==0"] },
};

export default function () {
  group("Widget Handshake Flow", () => {
    const shop = `shop-${__VU}.example`;
    const browser = { Origin: `https://${shop}`, "User-Agent": agent };
    const given = http.get(`${base}/api/embed/token`, { headers: browser, params: { shop } });
    tokenOk.add(check(given, { "has a token": (r) => r.status === 200 && r.json("token") !== undefined }));
    if (given.status !== 200) {
      errors.add(1);
      return;
    }
    sleep(Math.random() * 0.1);
    const headers = { ...browser, Authorization: `Bearer ${given.json("token")}`, "Content-Type": "application/json" };
    const reply = http.post(`${base}/api/embed/validate`, JSON.stringify({ nonce: given.json("nonce") }), { headers });
    handshakeMs.add(given.timings.duration + reply.timings.duration);
    const valid = (r) => r.json("valid") === true && r.json("shop") === shop;
    validateOk.add(check(reply, { "is valid": (r) => r.status === 200 && valid(r) }));
  });
  sleep(0.1);
}
