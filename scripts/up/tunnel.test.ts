// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { forwardedPort } from "../../kubectl/forwarded-port.ts";
import { kubeTools } from "./kube-tools.ts";
import { openTunnel } from "./tunnel.ts";

const folder = mkdtempSync(join(tmpdir(), "im-tunnel-"));
after(() => rmSync(folder, { recursive: true }));

/** Tools whose kubectl is this shell script. */
function toolsOf(script: string) {
  const kubectl = join(folder, `kubectl-${Math.random()}`);
  writeFileSync(kubectl, `#!/bin/sh\n${script}\n`);
  chmodSync(kubectl, 0o755);
  return kubeTools({ kubectl, helm: "none", kubeconfig: "/nowhere", context: "mine" });
}

describe("a tunnel into the cluster", () => {
  it("reads the port that kubectl listens on", () => {
    assert.equal(forwardedPort("Forwarding from 127.0.0.1:40123 -> 8090"), 40123);
    assert.equal(forwardedPort("Forwarding from [::1]:40123 -> 8090"), undefined);
    assert.equal(forwardedPort("Handling connection for 40123"), undefined);
  });

  it("is open when kubectl says so, and is asked for by context, namespace and target", async () => {
    const record = join(folder, "args");
    const tools = toolsOf(
      `echo "$KUBECONFIG $@" > ${record}; echo "Forwarding from 127.0.0.1:4242 -> 8090"; exec sleep 30`,
    );
    const tunnel = await openTunnel(tools, "svc/demo-api", 8090);
    assert.equal(tunnel.port, 4242);
    tunnel.close();
    assert.equal(
      readFileSync(record, "utf8").trim(),
      "/nowhere --context mine port-forward --address 127.0.0.1 -n imcluster-demo svc/demo-api :8090",
    );
  });

  it("says what kubectl said when there is none", async () => {
    const tools = toolsOf('echo "services demo-api not found" >&2; exit 1');
    await assert.rejects(
      openTunnel(tools, "svc/demo-api", 8090),
      /no tunnel to svc\/demo-api:8090: kubectl ended with 1/,
    );
  });
});
