// Setup logs in once, with the defaults of the team, and hands the token to every VU.
import { check, fail, sleep } from "k6";
import http from "k6/http";
import { Counter, Rate, Trend } from "k6/metrics";

const base = __ENV.API_BASE;
const credentials = {
  email: __ENV.TEST_EMAIL || "test@example.com",
  password: __ENV.TEST_PASSWORD || "testpassword123",
};
const json = { "Content-Type": "application/json" };
const errors = new Rate("errors");
const success = new Rate("generation_success");
const responseMs = new Trend("response_time", true);
const creditErrors = new Counter("credit_errors");
const providerErrors = new Counter("provider_errors");

export const options = {
  thresholds: { errors: ["rate==0"], generation_success: ["rate==1"], http_req_failed: ["rate==0"] },
};

export function setup() {
  const reply = http.post(`${base}/api/auth/login`, JSON.stringify(credentials), { headers: json });
  if (reply.status !== 200) fail(`the login failed: ${reply.status}`);
  console.log("login successful");
  return { token: reply.json("token") };
}

export default function (data) {
  const headers = { ...json, Authorization: `Bearer ${data.token}` };
  const reply = http.post(`${base}/api/generations`, JSON.stringify({ prompt: "a lighthouse" }), { headers });
  responseMs.add(reply.timings.duration);
  errors.add(!check(reply, { "is accepted": (r) => r.status === 202 && r.json("session_id") !== undefined }));
  if (reply.status === 402) creditErrors.add(1);
  if (reply.status >= 500) providerErrors.add(1);
  if (reply.status !== 202) return;
  let status = "processing";
  for (let poll = 0; poll < 60 && status === "processing"; poll++) {
    sleep(0.05);
    status = http.get(`${base}/api/generations/${reply.json("session_id")}`, { headers }).json("status");
  }
  success.add(status === "completed");
}
