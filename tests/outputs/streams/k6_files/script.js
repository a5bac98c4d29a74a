// What wrote samples.json and samples.csv here, with k6 1.1.0 against an nginx that answers "hello" everywhere but at
// /status/404 and over TLS at TLS_URL: k6 run --out json=samples.json --out csv=samples.csv -e URL=... script.js
import http from "k6/http";
import { check, group, sleep } from "k6";
import { Counter, Gauge, Rate, Trend } from "k6/metrics";

const orders = new Counter("orders");
const depth = new Gauge("depth");
const good = new Rate("good");
const wait = new Trend("wait", true);
const rows = new Trend("rows");

export const options = {
  insecureSkipTLSVerify: true,
  scenarios: {
    buy: { executor: "shared-iterations", vus: 1, iterations: 3, tags: { team: "red" } },
    break: { executor: "shared-iterations", vus: 1, iterations: 1, exec: "fail" },
    rush: {
      executor: "constant-arrival-rate", rate: 15, duration: "1s", preAllocatedVUs: 1, maxVUs: 1, exec: "rush",
    },
  },
  thresholds: {
    http_req_duration: ["p(95)<5000"],
    "http_req_duration{scenario:buy}": ["avg<5000"],
    "group_duration{group:::cart}": ["avg<5000"],
    orders: ["count>0"],
  },
};

export default function () {
  group("cart", () => {
    const reply = http.get(`${__ENV.URL}/cart?item=1`, { tags: { kind: "read" } });
    check(reply, { "is 200": (one) => one.status === 200, never: () => false }, { deep: "yes" });
    group("pay", () => http.post(`${__ENV.URL}/pay`, "money"));
  });
  http.get(`${__ENV.URL}/status/404`);
  http.get(`${__ENV.TLS_URL}/secret`);
  orders.add(3);
  orders.add(2, { shop: "a" });
  depth.add(7.5);
  good.add(true);
  good.add(false);
  wait.add(12.5, { shop: "a" });
  rows.add(1000);
}

export function fail() {
  http.get("http://127.0.0.1:1/refused");
  http.get(`${__ENV.STALLED_URL}/slow`, { timeout: "100ms" });
  http.get(`${__ENV.URL}/status/404`, { responseCallback: http.expectedStatuses(404) });
  http.get(`${__ENV.URL}/unexpected`, { responseCallback: http.expectedStatuses(201) });
}

export function rush() {
  sleep(0.1);
}
