// SPDX-License-Identifier: Apache-2.0
// `kubectl im` against a real API server: what it shows, what it says when something is missing or forbidden.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { EXIT } from "../../kubectl/fault.ts";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { EVENTS, type KubeObject, type Resource } from "../../operator/kube/types.ts";
import { silentProgress } from "../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { certificateFor, kubectlIm, makeCluster, makeSecret } from "./support/kubectl-im-fleet.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const MAIN = fileURLToPath(new URL("../../kubectl/main.ts", import.meta.url));
const COMPLETE = fileURLToPath(new URL("../../kubectl/complete.ts", import.meta.url));
const STATUS = {
  phase: "Ready",
  phaseReason: "all 3 entries are ready",
  version: "0.1.0",
  image: "r.example/im:0.1.0",
};
const IMAGE = `r.example:5000/im@sha256:${"0".repeat(64)}`;
const runFile = promisify(execFile);

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

async function setUp() {
  const namespace = await server.makeNamespace();
  return { namespace, im: kubectlIm(server, namespace) };
}

describe("kubectl im status", () => {
  it("shows the object, the certificate in its Secret, and recent warnings", async () => {
    const { namespace, im } = await setUp();
    const pods = [{ uid: "u", name: "demo-entry-abcde", state: "Ready", sessions: 12, node: "n1", restarts: 0 }];
    await makeCluster(server.client, namespace, { ...STATUS, addresses: ["192.0.2.7"], pods });
    await makeSecret(server.client, namespace, "demo-tls", certificateFor(90));
    const event = (type: "Normal" | "Warning", name: string, reason: string) =>
      server.client.create(EVENTS, {
        metadata: { name: `${name}.${reason.toLowerCase()}`, namespace },
        ...{
          type,
          reason,
          note: `about ${name}`,
          action: "Look",
          eventTime: new Date().toISOString().replace("Z", "000Z"),
        },
        ...{
          reportingController: "test",
          reportingInstance: "test",
          regarding: { kind: "ImCluster", name, namespace },
        },
      });
    await event("Warning", "demo", "EntryFailed");
    await event("Normal", "demo", "EntryCreated");
    await event("Warning", "other", "NotOurs");
    const { code, out, err } = await im(["status"]);
    assert.deepEqual([code, err], [EXIT.ok, ""]);
    assert.match(out, new RegExp(`^ImCluster ${namespace}/demo {2}Ready: all 3 entries are ready\n`));
    assert.match(out, /^Address {6}192\.0\.2\.7 /m);
    assert.match(out, /^Certificate {2}ends in (89|90)d \(\d{4}-\d\d-\d\d\), Secret demo-tls$/m);
    assert.match(out, /^demo-entry-abcde {2}Ready +12 {2}n1/m);
    assert.match(out, /ImCluster\/demo {2}EntryFailed {2}about demo$/m);
    assert.ok(!out.includes("EntryCreated") && !out.includes("NotOurs"), out);
  });

  it("is the same as JSON and as YAML", async () => {
    const { namespace, im } = await setUp();
    await makeCluster(server.client, namespace, STATUS);
    const json = JSON.parse((await im(["status", "demo", "-o", "json"])).out) as Record<string, unknown>;
    const yaml = parse((await im(["status", "demo", "-o", "yaml"])).out) as Record<string, unknown>;
    assert.deepEqual(yaml, json);
    assert.deepEqual([json.name, json.namespace, json.phase, json.version], ["demo", namespace, "Ready", "0.1.0"]);
    assert.deepEqual(json.certificate, { secret: "demo-tls", problem: "Secret demo-tls does not exist" });
    assert.deepEqual(json.warnings, []);
  });

  it("asks which, when there are several, and says where to look, when there is none", async () => {
    const { namespace, im } = await setUp();
    const none = await im(["status"]);
    assert.equal(none.code, EXIT.failed);
    assert.equal(
      none.err,
      `error: there is no ImCluster in namespace ${namespace}\nName another by -n; \`kubectl get imc -A\` shows where there are any.\n`,
    );
    await makeCluster(server.client, namespace, STATUS, "shop-a");
    await makeCluster(server.client, namespace, STATUS, "shop-b");
    const several = await im(["status"]);
    assert.match(several.err, /^error: there are 2 ImClusters in namespace .*\nName one of shop-a, shop-b\.\n$/);
    const other = await im(["status", "shop-c"]);
    assert.match(other.err, /^error: there is no ImCluster shop-c in namespace .*\nName one of shop-a, shop-b\.\n$/);
    assert.match((await im(["status", "shop-b"])).out, /\/shop-b {2}Ready/);
  });
});

describe("kubectl im plan", () => {
  const manifest = (spec: object): string =>
    JSON.stringify({ apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: { name: "demo" }, spec });

  it("says what an edit would do, and leaves everything as it is", async () => {
    const { namespace, im } = await setUp();
    const pods = [4_000, 1_000, 2_000].map((sessions, at) => ({
      uid: `u${at}`,
      name: `e${at}`,
      state: "Ready",
      sessions,
    }));
    const entry = { replicas: 3, sessions: 7_000 };
    await makeCluster(server.client, namespace, { ...STATUS, pods, entry });
    const before = await server.client.get(IM_CLUSTER, namespace, "demo");
    const planned = async (spec: object, ...args: string[]) =>
      (await im(["plan", "-f", "-", ...args], { input: manifest(spec) })).out;
    const fewer = await planned({ entry: { replicas: 2 } });
    assert.match(fewer, /^spec\.entry\.replicas +3 +2$/m);
    assert.match(fewer, /^ {2}entries: 3 become 2$/m);
    assert.match(fewer, /^1,000 sessions reconnect, about /m, "those of the emptiest");
    const rolled = JSON.parse(await planned({ entry: { maxConnectionsPerPod: 30_000 } }, "-o", "json")) as {
      fields: object[];
      preview: { sessionsAffected: number };
    };
    assert.deepEqual(rolled.fields, [{ path: "spec.entry.maxConnectionsPerPod", from: 20_000, to: 30_000 }]);
    assert.equal(rolled.preview.sessionsAffected, 7_000);
    assert.match(await planned({}), /: nothing changes\n$/);
    assert.deepEqual(await server.client.get(IM_CLUSTER, namespace, "demo"), before);
  });

  it("checks a manifest of a new one, and refuses what the API server refuses", async () => {
    const { namespace, im } = await setUp();
    const made = await im(["plan", "-f", "-"], { input: manifest({ entry: { replicas: 5 } }) });
    assert.match(made.out, /it does not exist yet, and the manifest is in order/);
    assert.equal(await server.client.get(IM_CLUSTER, namespace, "demo"), undefined);
    const wrong = await im(["plan", "-f", "-"], { input: manifest({ entry: { replicas: 999 } }) });
    assert.equal(wrong.code, EXIT.failed);
    assert.match(wrong.err, /spec\.entry\.replicas must be between 1 and 200.*\nCorrect what the message names\.\n$/s);
    const cases: [string, RegExp][] = [
      ["a: [", /^error: unexpected end/],
      ["kind: Secret\napiVersion: v1\nmetadata: { name: x }", /^error: - holds no ImClusters\n/],
      [`${manifest({})}\n---\n${manifest({})}`, /^error: - holds 2 ImClusters\n/],
    ];
    for (const [input, message] of cases) assert.match((await im(["plan", "-f", "-"], { input })).err, message);
    assert.match((await im(["plan", "-f", "/no/such/file"])).err, /cannot be read: .*\nName a file/);
    assert.equal((await im(["plan"])).code, EXIT.usage);
  });
});

describe("rights", () => {
  const role = (kind: string, plural: string): Resource => ({
    ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind, plural, namespaced: true },
  });

  it("that are missing are named; what may be read is shown", async () => {
    const { namespace } = await setUp();
    await makeCluster(server.client, namespace, STATUS);
    await makeSecret(server.client, namespace, "demo-tls", certificateFor(90));
    const asEve = kubectlIm(server, namespace, await server.api.kubeconfigFor({ user: "eve" }));
    const refused = await asEve(["status"]);
    assert.equal(refused.code, EXIT.failed);
    assert.match(
      refused.err,
      /^error: ImCluster: imclusters\.imcluster\.io is forbidden: User "eve" cannot list .*\nAsk for the right that it names/,
    );
    const rules = [{ apiGroups: ["imcluster.io"], resources: ["imclusters"], verbs: ["get", "list"] }];
    const metadata = { name: "look", namespace };
    const { client } = server;
    await client.create(role("Role", "roles"), { metadata, rules } as KubeObject);
    await client.create(role("RoleBinding", "rolebindings"), {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "look" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "eve" }],
    } as KubeObject);
    // The authorizer reads roles from a cache of its own.
    let seen = await asEve(["status"]);
    for (let tries = 0; seen.code !== EXIT.ok && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      seen = await asEve(["status"]);
    }
    assert.match(seen.out, /^Certificate {2}unknown: .*secrets "demo-tls" is forbidden/m);
    assert.match(seen.out, /^Events: .*forbidden/m);
    assert.match(seen.out, /demo {2}Ready/);
  });
});

describe("kubectl im version", () => {
  it("names the program, the fleet and Kubernetes", async () => {
    const { namespace, im } = await setUp();
    await makeCluster(server.client, namespace, STATUS);
    const { out } = await im(["version"]);
    assert.match(
      out,
      /^kubectl im \d+\.\d+\.\d+\nfleet 0\.1\.0 \(ImCluster demo, image r\.example\/im:0\.1\.0\)\nKubernetes v1\.\d+/,
    );
    assert.match((await im(["version", "--client", "-o", "json"])).out, /"client": "\d/);
  });
});

describe("install generate", () => {
  it("prints manifests that a cluster takes", async () => {
    const { namespace } = await setUp();
    const { helm = "", kubectl = "" } = await ensureBinaries(["helm", "kubectl"], { progress: silentProgress });
    const env = { ...process.env, PATH: `${dirname(helm)}${delimiter}${process.env.PATH}` };
    const args = [MAIN, "install", "generate", "-n", `${namespace}-op`, "--image", IMAGE, "--timeout", "60s"];
    const { stdout } = await runFile(process.execPath, args, { env, timeout: 120_000, maxBuffer: 16 << 20 });
    assert.ok(stdout.includes(`image: "${IMAGE}"`), stdout);
    const folder = mkdtempSync(join(tmpdir(), "kubectl-im-"));
    try {
      const apply = promisify(execFile)(
        kubectl,
        ["apply", "--server-side", "--kubeconfig", server.api.kubeconfigPath, "-f", "-"],
        {
          timeout: 120_000,
          env: { ...process.env, HOME: folder },
        },
      );
      apply.child.stdin?.end(stdout);
      assert.match((await apply).stdout, /deployment\.apps\/im-operator serverside-applied/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("says where to get helm, where there is none", async () => {
    const ran = await runFile(process.execPath, [MAIN, "install", "generate"], {
      env: { PATH: "/nowhere" },
      timeout: 60_000,
    }).then(
      () => assert.fail("it found a helm"),
      (error: { code: number; stderr: string }) => error,
    );
    assert.equal(ran.code, EXIT.failed);
    assert.match(ran.stderr, /^error: helm is not on PATH\nInstall it/);
  });
});

describe("as a plugin", () => {
  it("is found and completed by kubectl", async () => {
    const { kubectl = "" } = await ensureBinaries(["kubectl"], { progress: silentProgress });
    const folder = mkdtempSync(join(tmpdir(), "kubectl-im-"));
    try {
      const bin = join(folder, "bin");
      mkdirSync(bin);
      symlinkSync(MAIN, join(bin, "kubectl-im"));
      symlinkSync(COMPLETE, join(bin, "kubectl_complete-im"));
      symlinkSync(process.execPath, join(bin, "node"));
      const env = { PATH: `${bin}${delimiter}/usr/bin${delimiter}/bin`, HOME: folder };
      const options = { env, timeout: 120_000 };
      assert.match((await runFile(kubectl, ["im", "version", "--client"], options)).stdout, /^kubectl im \d/);
      assert.match((await runFile(kubectl, ["__complete", "im", "sta"], options)).stdout, /^status\n:4\n/);
      const wrong = await runFile(kubectl, ["im", "frob"], options).catch(
        (error: { code: number; stderr: string }) => error,
      );
      assert.equal((wrong as { code: number }).code, EXIT.usage);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
