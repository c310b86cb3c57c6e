// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadEntryConfig } from "./config.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

function start(env: Record<string, string>): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      text += String(chunk);
    });
  }
  return { child, output: () => text };
}

describe("loadEntryConfig", () => {
  it("needs only the targets", () => {
    const config = loadEntryConfig({ IM_LOGIC_TARGETS: "dns:demo-logic:7443" });
    assert.deepEqual(config.logicTargets, ["dns:demo-logic:7443"]);
    assert.deepEqual([config.tlsPort, config.httpPort, config.controlPort, config.adminPort], [8443, 8080, 9443, 9090]);
    assert.deepEqual([config.plainPort, config.demoDir, config.internalTlsDir], [undefined, undefined, undefined]);
    assert.equal(config.tlsDir, "/etc/imcluster/tls");
    assert.match(config.podUid, /^[0-9a-f-]{36}$/);
    assert.deepEqual(config.httpOrigins, []);
    assert.deepEqual([config.limits.proxyCidrs, config.limits.limitsPeers], [[], false], "nobody's address is trusted");
  });

  it("reads limits and origins, and says which range is none", () => {
    const env = { IM_LOGIC_TARGETS: "x:1", IM_PROXY_CIDRS: "10.0.0.0/8,fd00::/8", IM_LIMIT_PEER_ADDRESSES: "true" };
    const { limits } = loadEntryConfig({ ...env, IM_FRAMES_PER_SECOND: "0" });
    assert.deepEqual(limits.proxyCidrs, ["10.0.0.0/8", "fd00::/8"]);
    assert.deepEqual([limits.limitsPeers, limits.framesPerSecond], [true, 0]);
    const origins = { IM_LOGIC_TARGETS: "x:1", IM_HTTP_ORIGINS: "https://a.example.com, https://b.example.com" };
    assert.deepEqual(loadEntryConfig(origins).httpOrigins, ["https://a.example.com", "https://b.example.com"]);
    const endpoints = { IM_LOGIC_TARGETS: "x:1", IM_ENDPOINTS: "direct=im-1.example.com, balancer=[::1]:8443*3" };
    assert.deepEqual(loadEntryConfig(endpoints).endpoints, [
      { kind: "direct", host: "im-1.example.com", port: 443, weight: 1 },
      { kind: "balancer", host: "::1", port: 8443, weight: 3 },
    ]);
    assert.throws(
      () => loadEntryConfig({ ...endpoints, IM_ENDPOINTS: "direct=a,im.example.com" }),
      /IM_ENDPOINTS: "im.example.com" is no endpoint: direct, list, balancer, then =HOST/,
    );
    const many = (count: number): string => Array.from({ length: count }, (_, i) => `list=a${i}`).join();
    assert.equal(loadEntryConfig({ ...endpoints, IM_ENDPOINTS: many(64) }).endpoints.length, 64);
    assert.throws(() => loadEntryConfig({ ...endpoints, IM_ENDPOINTS: many(65) }), /more than 64 endpoints/);
    assert.throws(
      () => loadEntryConfig({ ...env, IM_PROXY_CIDRS: "10.0.0.0" }),
      /IM_PROXY_CIDRS: "10.0.0.0" is no range/,
    );
  });
});

describe("the entry process", () => {
  it("says what is wrong with its environment, and exits 1", async () => {
    const { child, output } = start({ IM_TLS_PORT: "99999", IM_PING_INTERVAL_MS: "soon" });
    assert.deepEqual(await once(child, "close"), [1, null]);
    assert.match(
      output(),
      /IM_TLS_PORT: "99999" is not an integer from 0 to 65535; set it to a free TCP port for clients/,
    );
    assert.match(output(), /IM_PING_INTERVAL_MS/);
    assert.match(output(), /IM_LOGIC_TARGETS: is required; set it to host:port of every logic/);
  });

  it("says that its certificate is missing, and exits 1", async () => {
    const ports = { IM_TLS_PORT: "0", IM_HTTP_PORT: "0", IM_CONTROL_PORT: "0", IM_ADMIN_PORT: "0" };
    const { child, output } = start({ ...ports, IM_LOGIC_TARGETS: "127.0.0.1:1", IM_TLS_DIR: "/nonexistent" });
    assert.deepEqual(await once(child, "close"), [1, null]);
    assert.match(output(), /entry cannot start: no usable tls.crt and tls.key in \/nonexistent: ENOENT/);
  });
});
