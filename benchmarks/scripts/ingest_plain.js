// The same batches as ingest.js makes, written as one would: objects, canonical JSON by sorted keys, JSON.stringify.
import http from "k6/http";
import { sleep } from "k6";
import { randomBytes, sha256 } from "k6/crypto";

export const options = { discardResponseBodies: true };
const url = `${__ENV.URL}/api/v1/ves/events/ingest`;
const size = Number(__ENV.BATCH_SIZE || 100);
const buildOnly = __ENV.BUILD_ONLY === "1"; // Make the batches and send nothing.
const pauseS = Number(__ENV.PAUSE_S || 0);
const nil = "00000000-0000-0000-0000-000000000000";
const params = { headers: { "Content-Type": "application/json" } };

function hex(count) {
  return Array.from(new Uint8Array(randomBytes(count)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function uuid() {
  const digits = hex(16);
  return [
    digits.slice(0, 8), digits.slice(8, 12), `4${digits.slice(13, 16)}`, `a${digits.slice(17, 20)}`, digits.slice(20),
  ].join("-");
}

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${fields.join(",")}}`;
}

function event() {
  const payload = {
    customer_id: `cust-${hex(5)}`,
    status: "created",
    currency: "EUR",
    amount_cents: Math.floor(Math.random() * 1000000),
    items: [
      { sku: `sku-${hex(3)}`, quantity: Math.floor(Math.random() * 7) + 1, unit_price_cents: Math.floor(Math.random() * 90000) + 100 },
    ],
  };
  return {
    event_id: uuid(),
    tenant_id: nil,
    store_id: nil,
    entity_type: "order",
    entity_id: `order-${uuid()}`,
    event_type: "order.created",
    payload,
    payload_hash: sha256(canonical(payload), "hex"),
    created_at: new Date().toISOString(),
    source_agent: nil,
  };
}

export default function () {
  const body = JSON.stringify({ agent_id: nil, events: Array.from({ length: size }, event) });
  if (buildOnly) return;
  http.post(url, body, params);
  if (pauseS) sleep(pauseS);
}
