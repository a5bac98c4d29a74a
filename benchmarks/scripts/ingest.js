// Fresh batches of events, as `fastload bench --ingest` makes them: new ids, new payloads, true hashes of canonical
// JSON. Written for speed: an event's payload is canonical by construction, so that the text that is hashed is the
// text that is sent, nothing is encoded twice, and one call of the native randomness serves a whole batch.
import http from "k6/http";
import { randomBytes, sha256 } from "k6/crypto";

export const options = { discardResponseBodies: true };
const url = `${__ENV.URL}/api/v1/ves/events/ingest`;
const size = Number(__ENV.BATCH_SIZE || 100);
const buildOnly = __ENV.BUILD_ONLY === "1"; // Make the batches and send nothing.
const nil = "00000000-0000-0000-0000-000000000000";
const params = { headers: { "Content-Type": "application/json" } };
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function uuid(b, at) {
  return (
    hex[b[at]] + hex[b[at + 1]] + hex[b[at + 2]] + hex[b[at + 3]] + "-" +
    hex[b[at + 4]] + hex[b[at + 5]] + "-" +
    hex[(b[at + 6] & 0x0f) | 0x40] + hex[b[at + 7]] + "-" +
    hex[(b[at + 8] & 0x3f) | 0x80] + hex[b[at + 9]] + "-" +
    hex[b[at + 10]] + hex[b[at + 11]] + hex[b[at + 12]] + hex[b[at + 13]] + hex[b[at + 14]] + hex[b[at + 15]]
  );
}

function payload(b, at) {
  const number = b[at] + (b[at + 1] << 8) + (b[at + 2] << 16);
  const customer = hex[b[at + 3]] + hex[b[at + 4]] + hex[b[at + 5]] + hex[b[at + 6]] + hex[b[at + 7]];
  const sku = hex[b[at]] + hex[b[at + 1]] + hex[b[at + 2]];
  return (
    `{"amount_cents":${number % 1000000},"currency":"EUR","customer_id":"cust-${customer}",` +
    `"items":[{"quantity":${(number % 7) + 1},"sku":"sku-${sku}","unit_price_cents":${(number % 90000) + 100}}],` +
    `"status":"created"}`
  );
}

function batch() {
  const bytes = new Uint8Array(randomBytes(40 * size));
  const middle = `","tenant_id":"${nil}","store_id":"${nil}","entity_type":"order","entity_id":"order-`;
  const end = `","created_at":"${new Date().toISOString()}","source_agent":"${nil}"}`;
  const events = [];
  for (let at = 0; at < 40 * size; at += 40) {
    const order = payload(bytes, at + 32);
    events.push(
      `{"event_id":"${uuid(bytes, at)}${middle}${uuid(bytes, at + 16)}","event_type":"order.created",` +
        `"payload":${order},"payload_hash":"${sha256(order, "hex")}${end}`
    );
  }
  return `{"agent_id":"${nil}","events":[${events.join(",")}]}`;
}

export default function () {
  const body = batch();
  if (!buildOnly) http.post(url, body, params);
}
