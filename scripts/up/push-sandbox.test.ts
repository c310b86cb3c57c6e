// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import { silentProgress } from "../cluster/progress.ts";
import { DEMO_NAMESPACE } from "./demo.ts";
import {
  applyPushSandbox,
  PUSH_SANDBOX,
  PUSH_SANDBOX_WEBHOOK,
  pushSandboxLog,
  pushSandboxManifests,
  SHOP_ACTIONS,
  sandboxModules,
} from "./push-sandbox.ts";
import { fakeCluster, toolsFor } from "./testing/fake-cluster.ts";

interface Manifest {
  kind: string;
  metadata: { name: string; namespace: string };
  data: Record<string, string>;
  spec: { ports: { port: number }[]; template: { spec: { containers: { image: string; command: string[] }[] } } };
}

const manifests = pushSandboxManifests("registry/imcluster:1", sandboxModules()) as Manifest[];
const [config, deployment, service] = manifests;

const folder = mkdtempSync(join(tmpdir(), "im-push-sandbox-"));
const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Starts what the pod would, from nothing but the ConfigMap; its output line by line. */
function startPod(secret: string): AsyncIterator<string> {
  for (const [name, content] of Object.entries(config?.data ?? {})) writeFileSync(join(folder, name), content);
  const [, program = ""] = deployment?.spec.template.spec.containers[0]?.command ?? [];
  const child = spawn(process.execPath, [join(folder, program.replace("/sandbox/", ""))], {
    env: {
      ...{ IM_SANDBOX_PORT: "0", IM_SANDBOX_SECRET: secret },
      ...{ IM_SANDBOX_SHOP_PORT: "0", IM_SANDBOX_SHOP_SECRET: `shop ${secret}` },
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

async function nextLine(lines: AsyncIterator<string>): Promise<Record<string, unknown>> {
  const { value, done } = await lines.next();
  assert.notEqual(done, true, "the sandbox ended");
  return JSON.parse(value as string) as Record<string, unknown>;
}

async function post(url: string, body: string, secret: string): Promise<number> {
  const seconds = Math.floor(Date.now() / 1000);
  const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  const headers = { "x-im-signature": `t=${seconds},v1=${mac}` };
  return (await fetch(url, { method: "POST", body, headers, signal: AbortSignal.timeout(5000) })).status;
}

describe("the push sandbox of the demo", () => {
  it("is where the demo's webhook points, in the fleet's own image", () => {
    const url = new URL(PUSH_SANDBOX_WEBHOOK.url);
    assert.equal(url.hostname, `${service?.metadata.name}.${DEMO_NAMESPACE}.svc`);
    assert.equal(Number(url.port), service?.spec.ports[0]?.port);
    assert.equal(Number(new URL(SHOP_ACTIONS.url).port), service?.spec.ports[1]?.port);
    assert.equal(deployment?.spec.template.spec.containers[0]?.image, "registry/imcluster:1");
    for (const { metadata } of manifests) assert.equal(metadata.namespace, DEMO_NAMESPACE);
  });

  it("runs from its ConfigMap alone, logs signed pushes and refuses others", async () => {
    const lines = startPod("s3cret");
    const { listening } = await nextLine(lines);
    const { shop } = await nextLine(lines);
    const local = (url: unknown): string => String(url).replace(/\[::\]|0\.0\.0\.0/, "127.0.0.1");
    const url = local(listening);
    const push = {
      type: "push",
      userId: "bob",
      conversationId: "c",
      messageId: "m1",
      inboxSeq: 1,
      sender: "a",
      sentAtMs: 5,
    };
    assert.equal(await post(url, JSON.stringify(push), "wrong"), 401);
    const beforeMs = Date.now();
    assert.equal(await post(url, JSON.stringify(push), "s3cret"), 204);
    const { receivedAtMs, ...logged } = await nextLine(lines);
    assert.deepEqual(logged, push);
    assert.ok(Number(receivedAtMs) >= beforeMs);
    const press = JSON.stringify({
      type: "card.action",
      action: "buy",
      card: { type: "item", ref: "i-1", version: 1 },
    });
    assert.equal(await post(local(shop), press, "s3cret"), 401);
    assert.equal(await post(local(shop), press, "shop s3cret"), 200);
    assert.equal(await post(local(shop), "{}", "shop s3cret"), 400);
  });

  it("makes its secrets once and keeps them", async () => {
    const cluster = fakeCluster();
    for (const kinds of [["Secret", "List"], ["List"]]) {
      cluster.applied.splice(0);
      await applyPushSandbox(cluster.tools, "i:1", { progress: silentProgress });
      assert.deepEqual(
        cluster.applied.map(({ kind }) => kind),
        kinds,
      );
    }
    const secrets = cluster.secrets.get(PUSH_SANDBOX);
    assert.deepEqual(Object.keys(secrets ?? {}).sort(), ["secret", "shop"]);
  });

  it("has no log where there is none", async () => {
    assert.equal(
      await pushSandboxLog(
        toolsFor(() => ({ code: 1, stdout: "", stderr: "NotFound" })),
        1000,
      ),
      undefined,
    );
    assert.equal(
      await pushSandboxLog(
        toolsFor(() => ({ code: 0, stdout: "{}", stderr: "" })),
        1000,
      ),
      "{}",
    );
  });
});
