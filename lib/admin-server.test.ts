// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type AdminServer, startAdminServer } from "./admin-server.ts";
import { Metrics } from "./metrics.ts";

describe("admin server", () => {
  let server: AdminServer;
  let isReady = false;
  let isLive = true;
  const metrics = new Metrics();
  metrics.gauge("im_x", "X.").set(1);

  const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${server.port}${path}`, init);

  before(async () => {
    server = await startAdminServer({
      port: 0,
      host: "127.0.0.1",
      metrics,
      isReady: () => isReady,
      isLive: () => isLive,
      debug: () => ({ connections: 3 }),
    });
  });
  after(() => server.close());

  it("answers readiness and liveness by what the process says now", async () => {
    assert.equal((await get("/readyz")).status, 503);
    isReady = true;
    assert.equal((await get("/readyz?verbose")).status, 200);
    assert.equal((await get("/livez")).status, 200);
    isLive = false;
    assert.equal((await get("/livez")).status, 503);
  });

  it("serves metrics and debug state", async () => {
    const response = await get("/metrics");
    assert.match(response.headers.get("content-type") ?? "", /text\/plain/);
    assert.match(await response.text(), /im_x 1/);
    assert.deepEqual(await (await get("/debug")).json(), { connections: 3 });
  });

  it("serves OpenMetrics to whoever says that it reads it", async () => {
    const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    const response = await get("/metrics", { headers: { accept } });
    assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text; version=1.0.0/);
    assert.match(await response.text(), /im_x 1\n# EOF\n$/);
    assert.match(
      (await get("/metrics", { headers: { accept: "*/*" } })).headers.get("content-type") ?? "",
      /text\/plain/,
    );
  });

  it("refuses other paths and methods", async () => {
    assert.equal((await get("/")).status, 404);
    assert.equal((await get("/metrics", { method: "POST", body: "x" })).status, 405);
  });

  it("reports a port that is taken", async () => {
    const options = { port: server.port, host: "127.0.0.1", metrics, isReady: () => true };
    await assert.rejects(startAdminServer(options), { code: "EADDRINUSE" });
  });
});
