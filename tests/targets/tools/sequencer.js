// What the scripts of the sequencer send: plain events, one a request, and the reads.
import { check } from "k6";
import { randomBytes } from "k6/crypto";
import http from "k6/http";

export const base = __ENV.SEQUENCER_BASE_URL;
export const nil = "00000000-0000-0000-0000-000000000000";
export const stream = `tenant_id=${nil}&store_id=${nil}`;
export const rates = { thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] } };

const params = (name) => ({
  headers: { Authorization: "ApiKey secret", "Content-Type": "application/json" },
  tags: { name },
});

// k6 gives an ArrayBuffer, which Array.from takes for an empty list: each id is "----".
function slippedId() {
  const hex = Array.from(randomBytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function rightId() {
  const digit = () => Math.floor(Math.random() * 16).toString(16);
  return "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, digit);
}

export function ingest() {
  const event = {
    event_id: Math.random() < 0.5 ? slippedId() : rightId(),
    tenant_id: nil,
    store_id: nil,
    entity_type: "order",
    entity_id: `order-${slippedId()}`,
    event_type: "order.created",
    payload: { order_number: Math.floor(Math.random() * 1e6), total: 19.99, currency: "EUR", lines: [{ sku: "lamp", count: 2 }] },
    created_at: new Date().toISOString(),
  };
  const body = JSON.stringify({ agent_id: nil, events: [event] });
  const reply = http.post(`${base}/api/v1/events/ingest`, body, params("ingest"));
  check(reply, { "ingest is 200": (r) => r.status === 200, "is counted": (r) => r.json("sequences").length === 1 });
}

export function read(path, name) {
  const reply = http.get(`${base}${path}`, params(name));
  check(reply, { [`${name} is 200`]: (r) => r.status === 200 });
  return reply;
}
