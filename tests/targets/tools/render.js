// Jobs are queued and asked for until they are done; 429 is no failure: the job is tried again later.
import { check, sleep } from "k6";
import http from "k6/http";
import { Counter, Gauge, Rate } from "k6/metrics";

const base = __ENV.BASE_URL;
const headers = { Authorization: `Bearer ${__ENV.API_KEY}`, "Content-Type": "application/json" };
const enqueueOk = new Rate("enqueue_success");
const jobOk = new Rate("job_completion");
const hits = new Counter("rate_limit_hits");
const depth = new Gauge("queue_depth");

http.setResponseCallback(http.expectedStatuses(200, 202, 429));
export const options = { thresholds: { job_completion: ["rate==1"], http_req_failed: ["rate==0"] } };

export default function () {
  const type = ["2d", "3d", "ar"][__ITER % 3];
  const body = JSON.stringify({ type, prompt: `a lamp, ${__ITER}`, options: { quality: "high", format: "png" } });
  const reply = http.post(`${base}/api/designs/design-${__VU}/render`, body, { headers });
  if (reply.status === 429) {
    hits.add(1);
    sleep(0.2);
    return;
  }
  enqueueOk.add(check(reply, { "is queued": (r) => [200, 202].includes(r.status) && r.json("jobId") !== undefined }));
  for (let poll = 0; poll < 60; poll++) {
    sleep(0.05);
    const job = http.get(`${base}/api/jobs/${reply.json("jobId")}/status`, { headers }).json();
    depth.add(job.queueDepth);
    if (job.status === "completed" || job.status === "failed") {
      jobOk.add(job.status === "completed");
      return;
    }
  }
  jobOk.add(false);
}
