// SPDX-License-Identifier: Apache-2.0
// The operator as real processes: leader election, takeover, webhooks, signals.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { LEASES, SECRETS, type Secret } from "../../operator/kube/types.ts";
import { freePort } from "../harness/ports.ts";
import { type GuardedProcess, startProcess, waitUntil } from "../harness/processes.ts";
import { Bench, OPERAND_IMAGE } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const MAIN = fileURLToPath(new URL("../../operator/main.ts", import.meta.url));
/** Bound only: a dead leader's Lease lasts 15 s, and the next attempt comes within 2 s. */
const TAKEOVER_MS = 90_000;

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

interface OperatorProcess {
  name: string;
  child: GuardedProcess;
  port: number;
}

async function startMain(name: string, namespace: string, env: NodeJS.ProcessEnv = {}): Promise<OperatorProcess> {
  const port = await freePort();
  const child = await startProcess({
    name,
    command: process.execPath,
    args: [MAIN],
    env: {
      PATH: process.env.PATH,
      KUBECONFIG: server.api.kubeconfigPath,
      IM_ADMIN_PORT: String(port),
      IM_POD_NAME: name,
      IM_POD_NAMESPACE: namespace,
      IM_WATCH_NAMESPACES: namespace,
      IM_OPERAND_IMAGE: OPERAND_IMAGE,
      ...env,
    },
  });
  return { name, child, port };
}

async function get(port: number, path: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

/** The body of the answer; empty when there is none. */
function post(target: RequestOptions, body: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { ...target, method: "POST", agent: false, signal: AbortSignal.timeout(5_000) };
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", () => resolve(""));
      response.on("end", () => resolve(text));
    });
    sent.on("error", () => resolve(""));
    sent.end(body);
  });
}

const leaderOf = async (namespace: string) =>
  (await server.client.get(LEASES, namespace, "im-operator"))?.spec.holderIdentity?.split("_")[0];

describe("operator/main.ts", () => {
  it("leads, serves its admin port, is succeeded when killed, and leaves in order on SIGTERM", async () => {
    const bench = await Bench.open(server);
    const started: OperatorProcess[] = [];
    try {
      for (const name of ["operator-a", "operator-b"]) started.push(await startMain(name, bench.namespace));
      await waitUntil(
        "both are ready",
        async () => {
          const answers = await Promise.all(started.map(({ port }) => get(port, "/readyz")));
          return answers.every(({ status }) => status === 200);
        },
        TAKEOVER_MS,
      );
      await waitUntil("one leads", async () => (await leaderOf(bench.namespace)) !== undefined, TAKEOVER_MS);
      const first = await leaderOf(bench.namespace);
      const leader = started.find(({ name }) => name === first);
      const follower = started.find(({ name }) => name !== first);
      assert.ok(leader && follower);
      await server.client.create(IM_CLUSTER, {
        ...{
          apiVersion: "imcluster.io/v1alpha1",
          kind: "ImCluster",
          metadata: { name: "demo", namespace: bench.namespace },
        },
        spec: { entry: { replicas: 1 } },
      } as never);
      await bench.until("seen by the leader", ({ status }) => status?.observedGeneration === 1);
      // The pass is counted when it ends, after its status was written.
      for (const sample of ["im_operator_leader 1", "im_operator_reconcile_total{", "im_cluster_phase{"])
        await waitUntil(sample, async () => (await get(leader.port, "/metrics")).text.includes(sample));
      await waitUntil("the other one follows", async () =>
        /^im_operator_leader 0$/m.test((await get(follower.port, "/metrics")).text),
      );
      leader.child.signal("SIGKILL");
      await bench.patchSpec({ entry: { replicas: 2 } });
      await bench.until("seen by the other", ({ status }) => status?.observedGeneration === 2, TAKEOVER_MS);
      follower.child.signal("SIGTERM");
      const exit = await follower.child.waitForExit(20_000);
      assert.equal(exit.code, 0, "in order");
      assert.notEqual(await leaderOf(bench.namespace), follower.name, "the Lease was given back");
    } finally {
      for (const { child } of started) child.signal("SIGKILL");
      await bench.close();
    }
  });

  it("serves its webhooks with a certificate that it made", async () => {
    const bench = await Bench.open(server);
    const webhookPort = await freePort();
    const env = { IM_ADMISSION: "hooks", IM_WEBHOOK_PORT: String(webhookPort), IM_LEADER_ELECT: "false" };
    const { child } = await startMain("operator-w", bench.namespace, env);
    try {
      let secret: Secret | undefined;
      await waitUntil(
        "the certificate is there",
        async () => {
          secret = await server.client.get(SECRETS, bench.namespace, "hooks");
          return secret?.data?.["tls.crt"] !== undefined;
        },
        TAKEOVER_MS,
      );
      const ca = Buffer.from(secret?.data?.["ca.crt"] ?? "", "base64").toString();
      const servername = `hooks.${bench.namespace}.svc`;
      const target = { host: "127.0.0.1", port: webhookPort, ca, servername, path: "/updates" };
      const review = { kind: "AdmissionReview", request: { uid: "q", namespace: bench.namespace, name: "demo" } };
      let answer = "";
      await waitUntil("it answers", async () => {
        answer = await post(target, JSON.stringify(review));
        return answer !== "";
      });
      assert.deepEqual(JSON.parse(answer).response, { uid: "q", allowed: true });
      child.signal("SIGTERM");
      assert.equal((await child.waitForExit(20_000)).code, 0);
    } finally {
      child.signal("SIGKILL");
      await bench.close();
    }
  });

  it("follows the file with its log level", async (context) => {
    const bench = await Bench.open(server);
    const dir = mkdtempSync(join(tmpdir(), "log-level-"));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    const { child } = await startMain("operator-l", bench.namespace, { IM_LOG_LEVEL_DIR: dir });
    const write = async (text: string, line: string) => {
      writeFileSync(join(dir, "level"), text);
      await waitUntil(line, () => child.output.includes(line), TAKEOVER_MS);
    };
    try {
      await waitUntil("it leads", () => child.output.includes('"msg":"leading"'), TAKEOVER_MS);
      await write("loud", '\\"loud\\" is no log level; it stays info');
      await write("error", '"before":"info","now":"error","msg":"log level changed"');
      child.signal("SIGTERM");
      assert.equal((await child.waitForExit(20_000)).code, 0);
      assert.ok(!child.output.includes('"msg":"stopping"'), "what is less than an error is not written any more");
    } finally {
      child.signal("SIGKILL");
      await bench.close();
    }
  });

  it("ends with 1 when its Lease is taken away", async () => {
    const bench = await Bench.open(server);
    const { child } = await startMain("operator-c", bench.namespace);
    try {
      await waitUntil("it leads", async () => (await leaderOf(bench.namespace)) === "operator-c", TAKEOVER_MS);
      const spec = { holderIdentity: "thief", renewTime: new Date().toISOString().replace("Z", "000Z") };
      await server.client.patchMerge(LEASES, bench.namespace, "im-operator", { spec });
      const exit = await child.waitForExit(20_000);
      assert.equal(exit.code, 1);
    } finally {
      child.signal("SIGKILL");
      await bench.close();
    }
  });

  it("says all that is wrong with its configuration, and ends with 1", async () => {
    const { child } = await startMain("operator-d", "default", {
      IM_OPERAND_IMAGE: "",
      IM_WORKERS: "0",
      IM_LEADER_ELECT: "perhaps",
      IM_LOG_LEVEL: "loud",
    });
    const exit = await child.waitForExit(20_000);
    assert.equal(exit.code, 1);
    for (const name of ["IM_OPERAND_IMAGE", "IM_WORKERS", "IM_LEADER_ELECT", "IM_LOG_LEVEL"])
      assert.ok(child.output.includes(name), child.output);
  });
});
