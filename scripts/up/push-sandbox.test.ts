// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it } from "node:test";
import type { RunResult } from "../cluster/command.ts";
import { silentProgress } from "../cluster/progress.ts";
import { DEMO_NAMESPACE } from "./demo.ts";
import type { CallOptions, KubeTools } from "./kube-tools.ts";
import {
  applyPushSandbox,
  PUSH_SANDBOX_WEBHOOK,
  pushSandboxLog,
  pushSandboxManifests,
  sandboxModules,
} from "./push-sandbox.ts";

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
    env: { IM_SANDBOX_PORT: "0", IM_SANDBOX_SECRET: secret },
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

/** Answers commands from a function: a stand-in for kubectl. */
function toolsFor(answer: (args: readonly string[], options?: CallOptions) => RunResult): KubeTools {
  const call = (args: readonly string[], options?: CallOptions): RunResult => answer(args, options);
  return {
    kubeconfig: "",
    kubectlPath: "",
    contextArgs: [],
    kubectl: async (args, options) => call(args, options).stdout,
    tryKubectl: async (args, options) => call(args, options),
    helm: () => Promise.reject(new Error("not used")),
    getJson: () => Promise.reject(new Error("not used")),
  };
}

describe("the push sandbox of the demo", () => {
  it("is where the demo's webhook points, in the fleet's own image", () => {
    const url = new URL(PUSH_SANDBOX_WEBHOOK.url);
    assert.equal(url.hostname, `${service?.metadata.name}.${DEMO_NAMESPACE}.svc`);
    assert.equal(Number(url.port), service?.spec.ports[0]?.port);
    assert.equal(deployment?.spec.template.spec.containers[0]?.image, "registry/imcluster:1");
    for (const { metadata } of manifests) assert.equal(metadata.namespace, DEMO_NAMESPACE);
  });

  it("runs from its ConfigMap alone, logs signed pushes and refuses others", async () => {
    const lines = startPod("s3cret");
    const { listening } = await nextLine(lines);
    const url = String(listening).replace(/\[::\]|0\.0\.0\.0/, "127.0.0.1");
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
  });

  it("makes its secret once and keeps it", async () => {
    const ok = { code: 0, stdout: "", stderr: "" };
    for (const exists of [false, true]) {
      const inputs: string[] = [];
      const tools = toolsFor((args, options) => {
        if (options?.input !== undefined) inputs.push(options.input);
        return args[0] === "get" && !exists ? { ...ok, code: 1 } : ok;
      });
      await applyPushSandbox(tools, "i:1", { progress: silentProgress });
      const kinds = inputs.map((input) => (JSON.parse(input) as { kind: string }).kind);
      assert.deepEqual(kinds, exists ? ["List"] : ["Secret", "List"]);
    }
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
