// SPDX-License-Identifier: Apache-2.0
// `kubectl im` where it needs pods: logs, report, and programs in logic pods. The API server is real, with its
// authorization and proxying; the kubelet behind it is a stand-in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { EXIT } from "../../kubectl/fault.ts";
import type { LocateReply } from "../../proto/gen/messages.ts";
import { startProcess, waitUntil } from "../harness/processes.ts";
import { certificateFor, kubectlIm, makeCluster, makePod, makeSecret } from "./support/kubectl-im-fleet.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";
import { type Ran, StandInKubelet } from "./support/stand-in-kubelet.ts";

const MAIN = fileURLToPath(new URL("../../kubectl/main.ts", import.meta.url));
const WAIT_MS = 60_000;
const NODE = "stand-in";
const CANARY = "canary-Passw0rd/42";

let server: ImApiServer;
let kubelet: StandInKubelet;
/** By pod, for the test that runs. */
const logs = new Map<string, string[]>();
let run: (pod: string, command: readonly string[]) => Promise<Ran>;

before(async () => {
  server = await startImApiServer();
  kubelet = await StandInKubelet.start(server.client, NODE, {
    logOf: (pod) => logs.get(pod) ?? [],
    run: (pod, _container, command) => run(pod, command),
  });
});
after(async () => {
  await kubelet?.stop();
  await server?.stop();
});
afterEach(() => {
  logs.clear();
  kubelet.asked.length = 0;
});

/** A namespace with an ImCluster, and pods by name and component. */
async function setUp(pods: readonly [string, "entry" | "logic" | "postgres", string?][]) {
  const namespace = await server.makeNamespace();
  await makeCluster(server.client, namespace, { phase: "Ready" });
  for (const [name, component, node = NODE] of pods) await makePod(server.client, namespace, { name, component, node });
  return { namespace, im: kubectlIm(server, namespace) };
}

const at = (ms: number, text: string): string => `2026-11-26T12:00:00.${String(ms).padStart(3, "0")}000000Z ${text}`;
const ours = (level: string, msg: string): string => JSON.stringify({ level, component: "entry", msg, n: 1 });

describe("kubectl im logs", () => {
  it("merges all pods by time, for people and for programs", async () => {
    const { im } = await setUp([
      ["demo-entry-a", "entry"],
      ["demo-logic-b", "logic"],
      ["demo-postgres-0", "postgres"],
    ]);
    logs.set("demo-entry-a", [at(1, ours("info", "first")), at(4, ours("warn", "fourth"))]);
    logs.set("demo-logic-b", [at(2, ours("error", "second")), at(5, ours("debug", "fifth"))]);
    logs.set("demo-postgres-0", [at(3, "LOG:  third")]);
    const { code, out, err } = await im(["logs"]);
    assert.deepEqual([code, err], [EXIT.ok, ""]);
    assert.equal(
      out,
      `12:00:00.001 INFO  demo-entry-a    first n=1
12:00:00.002 ERROR demo-logic-b    second n=1
12:00:00.003 INFO  demo-postgres-0 LOG:  third
12:00:00.004 WARN  demo-entry-a    fourth n=1
12:00:00.005 DEBUG demo-logic-b    fifth n=1
`,
    );
    assert.ok(
      kubelet.asked.every(({ query }) => query.get("tailLines") === "50" && query.get("timestamps") === "true"),
    );
    const loud = await im(["logs", "--level", "warn", "-o", "json"]);
    const lines = loud.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { pod: string; line: { msg: string } });
    assert.deepEqual(
      lines.map(({ pod, line }) => [pod, line.msg]),
      [
        ["demo-logic-b", "second"],
        ["demo-entry-a", "fourth"],
      ],
    );
  });

  it("takes a component, a time and a number of lines", async () => {
    const { im } = await setUp([
      ["demo-entry-a", "entry"],
      ["demo-logic-b", "logic"],
    ]);
    logs.set("demo-entry-a", [at(1, "one"), at(2, "two")]);
    logs.set("demo-logic-b", [at(1, "other")]);
    assert.equal(
      (await im(["logs", "--component", "entry", "--tail", "1"])).out,
      "12:00:00.002 INFO  demo-entry-a two\n",
    );
    kubelet.asked.length = 0;
    await im(["logs", "--since", "90s"]);
    assert.deepEqual(
      kubelet.asked.map(({ query }) => [query.get("sinceSeconds"), query.get("tailLines")]),
      [
        ["90", null],
        ["90", null],
      ],
    );
    assert.match((await im(["logs", "--component", "redis"])).err, /demo has no redis pods/);
    assert.equal((await im(["logs", "-o", "yaml"])).code, EXIT.usage);
  });

  it("shows the others when one cannot be read", async () => {
    const { im } = await setUp([
      ["demo-entry-a", "entry"],
      ["demo-entry-lost", "entry", "no-such-node"],
    ]);
    logs.set("demo-entry-a", [at(1, "here")]);
    const { code, out, err } = await im(["logs"]);
    assert.deepEqual([code, out], [EXIT.ok, "12:00:00.001 INFO  demo-entry-a    here\n"]);
    assert.match(err, /^demo-entry-lost: .*no-such-node/);
  });

  it("follows what comes, new pods too, until it is interrupted", async () => {
    const { im, namespace } = await setUp([["demo-entry-a", "entry"]]);
    logs.set("demo-entry-a", [at(1, "before")]);
    const interrupted = new AbortController();
    let printed = "";
    const onOut = (out: string): void => {
      printed = out;
    };
    const running = im(["logs", "-f"], { signal: interrupted.signal, onOut });
    const isPrinted = (text: string) => waitUntil(`${text} is printed`, () => printed.includes(text), WAIT_MS);
    try {
      await isPrinted("before");
      kubelet.print("demo-entry-a", at(2, "while"));
      await isPrinted("while");
      logs.set("demo-entry-b", [at(3, "its first words")]);
      await makePod(server.client, namespace, { name: "demo-entry-b", component: "entry", node: NODE });
      await isPrinted("its first words");
      kubelet.print("demo-entry-b", at(4, "later"));
      await isPrinted("later");
    } finally {
      interrupted.abort();
    }
    const { code, out } = await running;
    assert.equal(code, EXIT.interrupted);
    const said = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ").slice(-1)[0]);
    assert.deepEqual(said, ["before", "while", "words", "later"]);
    await waitUntil("nobody follows", () => kubelet.followersOf("demo-entry-a") === 0, WAIT_MS);
  });
});

describe("as a process", () => {
  it("ends with 130 on Ctrl-C, having said nothing else", async () => {
    const { namespace } = await setUp([["demo-entry-a", "entry"]]);
    logs.set("demo-entry-a", [at(1, "before")]);
    const where = ["--kubeconfig", server.api.kubeconfigPath, "-n", namespace];
    const child = await startProcess({
      name: "kubectl-im",
      command: process.execPath,
      args: [MAIN, "logs", "-f", ...where],
    });
    try {
      await child.waitForOutput(/before\n/, WAIT_MS);
      child.signal("SIGINT");
      assert.deepEqual(await child.exited, { code: EXIT.interrupted, signal: null });
      assert.equal(child.output, "12:00:00.001 INFO  demo-entry-a before\n");
    } finally {
      await child.stop("SIGKILL");
    }
  });
});

describe("kubectl im report", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "im-report-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("holds objects, status, events and logs, and no value of a Secret", async () => {
    const { im, namespace } = await setUp([
      ["demo-entry-a", "entry"],
      ["demo-entry-lost", "entry", "no-such-node"],
    ]);
    await makePod(server.client, namespace, { name: "demo-logic-b", component: "logic", node: NODE, restarts: 2 });
    const pair = certificateFor(90);
    await makeSecret(server.client, namespace, "demo-tls", pair);
    await makeSecret(server.client, namespace, "demo-postgres", {
      password: CANARY,
      url: `postgres://im:${CANARY}@db/im`,
    });
    const keyLine = pair["tls.key"].split("\n")[1] ?? "";
    logs.set("demo-entry-a", [at(1, `connect to postgres://im:${CANARY}@db/im`), at(2, `key ${keyLine}`)]);
    logs.set("demo-logic-b", [at(3, `as base64 ${Buffer.from(CANARY).toString("base64")} and plain words`)]);
    const file = join(folder, "report.tar.gz");
    const { code, out, err } = await im(["report", "--file", file]);
    assert.equal(code, EXIT.ok, err);
    assert.match(out, /report\.tar\.gz: \d+ files, \d+ KiB before compression\. Values of Secrets are not in it/);
    assert.match(err, /^left out: log of demo-entry-lost: /m);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    execFileSync("tar", ["xzf", file, "-C", folder], { timeout: WAIT_MS });
    const root = readdirSync(folder).find((name) => name.startsWith("im-report-demo-")) ?? "";
    const read = (path: string): string => readFileSync(join(folder, root, path), "utf8");
    for (const path of [
      "imcluster.json",
      "pods.json",
      "services.json",
      "deployments.json",
      "events.json",
      "about.json",
    ])
      assert.ok(JSON.parse(read(path)), path);
    assert.deepEqual(readdirSync(join(folder, root, "logs")).sort(), [
      "demo-entry-a.entry.log",
      "demo-entry-lost.entry.log",
      "demo-logic-b.logic.log",
      "demo-logic-b.logic.previous.log",
    ]);
    const whole = readdirSync(join(folder, root), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
      .join("\n");
    for (const secret of [CANARY, Buffer.from(CANARY).toString("base64"), keyLine, pair["tls.key"]])
      assert.ok(!whole.includes(secret), secret);
    assert.match(read("logs/demo-logic-b.logic.log"), /as base64 \[redacted\] and plain words/);
    const secrets = JSON.parse(read("secrets.json")) as { metadata: { name: string }; keys: Record<string, object> }[];
    const tls = secrets.find(({ metadata }) => metadata.name === "demo-tls");
    assert.ok(tls?.keys["tls.crt"] && "notAfter" in tls.keys["tls.crt"], "until when the certificate lasts is known");
  });

  it("never writes over a file", async () => {
    const { im } = await setUp([]);
    const file = join(folder, "twice.tar.gz");
    assert.equal((await im(["report", "--file", file])).code, EXIT.ok);
    const bytes = readFileSync(file);
    const again = await im(["report", "--file", file]);
    assert.equal(again.code, EXIT.failed);
    assert.match(again.err, /twice\.tar\.gz exists\nName another file by --file\.\n$/);
    assert.deepEqual(readFileSync(file), bytes);
    const nowhere = await im(["report", "--file", join(folder, "none", "x.tar.gz")]);
    assert.match(nowhere.err, /cannot be written/);
  });
});

describe("kubectl im route, kick and trace", () => {
  const located: LocateReply = {
    inboxHead: 3,
    devices: [
      {
        ...{ deviceId: "phone", deviceName: "", platform: "ios", online: true, lastSeenMs: Date.now(), ackedSeq: 3 },
        ...{ slot: "mobile", incarnation: "", conn: 7, loginSeq: 1 },
      },
    ],
  };

  it("ask a logic pod by the program in it", async () => {
    const { im, namespace } = await setUp([["demo-logic-b", "logic"]]);
    const entry = await makePod(server.client, namespace, { name: "demo-entry-a", component: "entry", node: NODE });
    const [device] = located.devices;
    assert.ok(device);
    const asked: string[] = [];
    run = async (pod, command) => {
      asked.push(`${pod}: ${command.join(" ")}`);
      const reply = { ...located, devices: [{ ...device, incarnation: `${entry.metadata.uid}.12` }] };
      return { exitCode: 0, stdout: JSON.stringify(command.includes("kick") ? { sessions: 2 } : reply) };
    };
    assert.match(
      (await im(["route", "alice"])).out,
      /alice is online on 1 of 1 devices.*\nphone +ios +online +demo-entry-a +7 +3\/3\n$/s,
    );
    assert.equal(
      (await im(["kick", "alice", "--slot", "mobile", "--reason", "spam & more"])).out,
      "closed 2 sessions of alice\n",
    );
    assert.deepEqual(asked, [
      "demo-logic-b: node logic/admin.ts locate alice",
      "demo-logic-b: node logic/admin.ts kick alice mobile spam & more",
    ]);
    const json = JSON.parse((await im(["route", "alice", "-o", "json"])).out) as { devices: { entry: string }[] };
    assert.equal(json.devices[0]?.entry, "demo-entry-a");
  });

  it("ask another pod when one does not answer", async () => {
    const { im } = await setUp([
      ["demo-logic-a", "logic", "no-such-node"],
      ["demo-logic-b", "logic"],
    ]);
    run = async () => ({ exitCode: 0, stdout: JSON.stringify({ sessions: 0 }) });
    assert.equal((await im(["kick", "bob"])).out, "bob had no session: nothing was closed\n");
  });

  it("say what the service said, and what an older fleet does not know", async () => {
    const { im } = await setUp([["demo-logic-b", "logic"]]);
    const answer = async (ran: Ran, args: string[]) => {
      run = async () => ran;
      const { code, out, err } = await im(args);
      assert.deepEqual([code, out], [EXIT.failed, ""]);
      return err;
    };
    assert.match(
      await answer({ exitCode: 1, stderr: "user_id is no user id\n" }, ["route", "a b"]),
      /^error: user_id is no user id\n/,
    );
    assert.match(
      await answer({ exitCode: 1, stderr: "usage: revoke-user\n" }, ["route", "a"]),
      /does not know this command\nThe fleet is older/,
    );
    assert.match(await answer({ exitCode: 137 }, ["kick", "a"]), /the program in demo-logic-b ended with 137/);
    assert.match(await answer({ exitCode: 0, stdout: "hello" }, ["kick", "a"]), /answered what is no JSON/);
    const found = { found: false, users: [] };
    assert.match(
      await answer({ exitCode: 0, stdout: JSON.stringify(found) }, ["trace", "m-1", "--user", "alice"]),
      /^error: alice neither sent m-1 nor has it/,
    );
  });

  it("need a logic pod that is ready, and a user for a trace", async () => {
    const { im } = await setUp([["demo-entry-a", "entry"]]);
    assert.match(
      (await im(["route", "alice"])).err,
      /^error: no logic pod of demo is ready\n`kubectl im status demo` says why/,
    );
    const { code, err } = await im(["trace", "m-1"]);
    assert.deepEqual(
      [code, err.split("\n")[0]],
      [EXIT.usage, "error: trace needs --user: who sent the message, or should have it"],
    );
  });
});
