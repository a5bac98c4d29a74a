// Fresh batches of events, as `fastload bench --ingest` makes them: new ids, new payloads, true hashes of canonical
// JSON. Written for speed: an event's payload is canonical by construction, so that the text that is hashed is the
// text that is sent, nothing is encoded twice, and one call of the native randomness serves a whole batch.
import http from "k6/http";
import { sleep } from "k6";
import { hexEncode, randomBytes, sha256 } from "k6/crypto";

export const options = { discardResponseBodies: true };
const url = `${__ENV.URL}/api/v1/ves/events/ingest`;
const size = Number(__ENV.BATCH_SIZE || 100);
const buildOnly = __ENV.BUILD_ONLY === "1"; // Make the batches and send nothing.
const pauseS = Number(__ENV.PAUSE_S || 0);
const nil = "00000000-0000-0000-0000-000000000000";
const params = { headers: { "Content-Type": "application/json" } };

// Version 4 UUID of the 30 hex digits at `at`, as `fastload` makes it.
function uuid(digits, at) {
  return (
    `${digits.slice(at, at + 8)}-${digits.slice(at + 8, at + 12)}-4${digits.slice(at + 12, at + 15)}` +
    `-a${digits.slice(at + 15, at + 18)}-${digits.slice(at + 18, at + 30)}`
  );
}

// An order as canonical JSON (RFC 8785), different for each 18 hex digits at `at`.
function payload(digits, at) {
  const number = parseInt(digits.slice(at, at + 8), 16);
  return (
    `{"amount_cents":${number % 1000000},"currency":"EUR","customer_id":"cust-${digits.slice(at + 8, at + 18)}",` +
    `"items":[{"quantity":${(number % 7) + 1},"sku":"sku-${digits.slice(at, at + 6)}",` +
    `"unit_price_cents":${(number % 90000) + 100}}],"status":"created"}`
  );
}

function batch() {
  const digits = hexEncode(randomBytes(40 * size));
  const middle = `","tenant_id":"${nil}","store_id":"${nil}","entity_type":"order","entity_id":"order-`;
  const end = `","created_at":"${new Date().toISOString()}","source_agent":"${nil}"}`;
  const events = [];
  for (let at = 0; at < 80 * size; at += 80) {
    const order = payload(digits, at + 62);
    events.push(
      `{"event_id":"${uuid(digits, at)}${middle}${uuid(digits, at + 30)}","event_type":"order.created",` +
        `"payload":${order},"payload_hash":"${sha256(order, "hex")}${end}`
    );
  }
  return `{"agent_id":"${nil}","events":[${events.join(",")}]}`;
}

export default function () {
  const body = batch();
  if (buildOnly) return;
  http.post(url, body, params);
  if (pauseS) sleep(pauseS);
}
