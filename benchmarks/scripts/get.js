// One GET an iteration: the k6 side of get.py. Bodies are dropped, the cheapest k6 has.
import http from "k6/http";

export const options = { discardResponseBodies: true, insecureSkipTLSVerify: true };
const url = `${__ENV.URL}/`;

export default function () {
  http.get(url);
}
