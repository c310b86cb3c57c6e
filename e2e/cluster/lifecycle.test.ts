// SPDX-License-Identifier: Apache-2.0
// The whole road on the real two-node cluster, in the order a platform engineer walks it. Steps depend on each other.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { leftovers } from "../../scripts/cluster/leftovers.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { runbookOf } from "../../scripts/up/alert-news.ts";
import { DEMO_NAME, DEMO_NAMESPACE, demoAccess } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { type ActiveAlert, PrometheusApi } from "../harness/prometheus.ts";
import { provePython } from "../harness/python.ts";
import { type Left, Newcomer, type Typed } from "./newcomer.ts";
import { emptyPanels, panelQueries } from "./panels.ts";
import { describeNamespace, eventually, getImCluster, isCondition, localTools, runScript } from "./real-cluster.ts";
import { TwoPages } from "./two-pages.ts";

const MINUTE_MS = 60_000;
const CHART = join(PROJECT_ROOT, "charts/im-cluster");
const SHOP = "imcluster-shop";
let tools: KubeTools;

async function waitForEntries(count: number, timeoutMs = 3 * MINUTE_MS): Promise<void> {
  await eventually(
    `${count} entries ready`,
    timeoutMs,
    async () => {
      const object = await getImCluster(tools, DEMO_NAME);
      const settled = object.status?.phase === "Ready" && object.status.entry?.summary === `${count}/${count}`;
      const pods = await entryPods();
      return settled && isCondition(object, "Ready") && pods.length === count ? true : undefined;
    },
    () => describeNamespace(tools, DEMO_NAMESPACE),
  );
}

async function entryPods(): Promise<string[]> {
  const selector = `imcluster.io/cluster=${DEMO_NAME},app.kubernetes.io/component=entry`;
  const text = await tools.kubectl(["get", "pods", "-n", DEMO_NAMESPACE, "-l", selector, "-o", "name"]);
  return text.split("\n").filter((line) => line !== "");
}

async function nodeNames(): Promise<string[]> {
  const text = await tools.kubectl(["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
  return text.split(" ").filter((name) => name !== "");
}

/** `helm test` of the shop: a pod of the image that the operator runs sends a message through the fleet. */
async function helmTest(): Promise<void> {
  const image = "jsonpath={.spec.template.spec.containers[0].image}";
  const tag = await tools.kubectl(["get", "deploy", "im-operator", "-n", "imcluster-system", "-o", image]);
  await tools.helm(["upgrade", "shop", CHART, "-n", SHOP, "--reuse-values", "--set", `test.image=${tag}`]);
  const told = await tools.helm(["test", "shop", "-n", SHOP, "--logs", "--timeout", "150s"]);
  assert.match(told, /"ok":true,.*"steps":\[/, told);
  // Helm leaves the pods of tests behind, for their logs.
  await tools.kubectl(["delete", "pods", "-n", SHOP, "--field-selector=status.phase==Succeeded"]);
}

/** The last words of a block of commands. */
const endOf = ({ code, stdout, stderr }: Typed): string =>
  `code ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-8000)}`;

async function objectsIn(namespace: string): Promise<string[]> {
  const kinds =
    "pods,deployments,statefulsets,jobs,services,secrets,configmaps,persistentvolumeclaims,serviceaccounts,poddisruptionbudgets,networkpolicies";
  // The demo's shop and push provider lie beside the ImCluster: `make up` made them, `make down` removes them.
  const others = "app.kubernetes.io/managed-by!=make-up,app.kubernetes.io/name!=push-sandbox";
  const text = await tools.kubectl(["get", kinds, "-n", namespace, "-l", others, "-o", "name"]);
  const everywhere = /^(configmap\/kube-root-ca\.crt|serviceaccount\/default|secret\/sh\.helm\.)/;
  return text.split("\n").filter((line) => line !== "" && !everywhere.test(line));
}

describe("a real cluster", { concurrency: 1 }, () => {
  let newcomer: Newcomer;
  let up: Typed;
  let pages: TwoPages | undefined;
  let watching: Left | undefined;
  let prometheus: PrometheusApi;

  before(async () => {
    newcomer = await Newcomer.arrive();
    up = await newcomer.type(newcomer.block("README.md", /^make up/m).text, 20 * MINUTE_MS);
    assert.equal(up.code, 0, endOf(up));
    newcomer.enter("imcluster");
    tools = await localTools();
  });
  after(async () => {
    await pages?.close();
    await watching?.interrupt();
    newcomer?.depart();
  });

  /** Types a block of a page; it has to succeed. */
  async function type(what: string, commands: string): Promise<Typed> {
    const typed = await newcomer.type(commands, 3 * MINUTE_MS);
    assert.equal(typed.code, 0, `${what}\n${endOf(typed)}`);
    console.log(`figures: newcomer: ${what}: ${typed.seconds} s`);
    return typed;
  }

  it("a newcomer comes by the README alone from an empty folder to a chat of two people in two browsers", async () => {
    console.log(`figures: newcomer: from an empty folder to the end of make up: ${up.seconds} s`);
    const promised = (pattern: RegExp): string => {
      const [, found] = pattern.exec(up.stderr) ?? [];
      assert.ok(found, `make up does not say ${pattern}\n${endOf(up)}`);
      return found;
    };
    const address = promised(/^ {2}address +(\S+):443 /m);
    const page = promised(/^ {2}browser +(\S+)$/m);
    assert.ok(page.startsWith(`https://${address}/`), page);
    for (const file of promised(/^ {2}tokens +(.+)$/m).split(" "))
      assert.match(readFileSync(file, "utf8"), /^ey/, file);
    newcomer.remember(promised(/^ {2}kubectl +(.+)$/m));
    const shown = newcomer.block("README.md", /get imc -A/, ["console"]).text;
    const [command = "", header, row = ""] = shown.split("\n");
    const table = await eventually("what the README shows", MINUTE_MS, async () => {
      const typed = await newcomer.type(command.replace(/^\$ /, ""), MINUTE_MS);
      return /^\S+ +demo +Ready +\S+ +3\/3 /m.test(typed.stdout) ? typed.stdout : undefined;
    });
    const words = (line = ""): string[] => line.trim().split(/ +/);
    assert.deepEqual(words(table.split("\n")[0]), words(header));
    assert.deepEqual(words(table.split("\n")[1]).slice(0, 5), words(row).slice(0, 5));
    const status = newcomer.block("docs/quick-start.md", /kubectl im status/);
    assert.match((await type("kubectl im", status.text)).stdout, /^ImCluster imcluster-demo\/demo +Ready: /m);
    const startedMs = performance.now();
    pages = await TwoPages.open(page);
    await pages.say("alice", "Is the bicycle still available?");
    await pages.say("bob", "It is.");
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    console.log(`figures: newcomer: two browsers, a message both ways: ${seconds} s`);
    watching = newcomer.leave(newcomer.block("docs/quick-start.md", /^make prometheus/m).text);
    const { output } = watching;
    const url = await eventually("Prometheus says where it is", MINUTE_MS, async () => {
      return /(http:\/\/127\.0\.0\.1:\d+)\/alerts/.exec(output())?.[1];
    });
    prometheus = new PrometheusApi(url);
  });

  it("comes up again in a minute, and Ready soon after apply", async () => {
    const again = await type("make up again", newcomer.block("docs/quick-start.md", /^make up$/m).text);
    const { warmSeconds } = JSON.parse(again.stdout.trim().split("\n").at(-1) ?? "") as { warmSeconds?: number };
    assert.ok(typeof warmSeconds === "number" && warmSeconds <= 60, again.stdout);
  });

  it("shows phase, version, entries, sessions, Ready and age", async () => {
    await waitForEntries(3);
    const table = await tools.kubectl(["get", "imc", "-n", DEMO_NAMESPACE]);
    const [header = "", row = ""] = table.split("\n");
    assert.deepEqual(
      header
        .trim()
        .split(/\s{2,}/)
        .map((cell) => cell.toUpperCase()),
      ["NAME", "PHASE", "VERSION", "ENTRIES", "SESSIONS", "READY", "AGE"],
    );
    assert.match(row, /^demo\s+Ready\s+\S+\s+3\/3\s+\d+\s+True\s+\S+/);
  });

  it("explains its fields", async () => {
    assert.match(
      await tools.kubectl(["explain", "imc.spec.entry"]),
      /replicas\s+<integer>[\s\S]*DESCRIPTION|DESCRIPTION[\s\S]*replicas\s+<integer>/,
    );
  });

  it("carries observedGeneration on the object and on every condition", async () => {
    const object = await getImCluster(tools, DEMO_NAME);
    assert.equal(object.status?.observedGeneration, object.metadata.generation);
    for (const condition of object.status?.conditions ?? [])
      assert.equal(typeof condition.observedGeneration, "number", condition.type);
  });

  it("loses nothing while pods are killed (smoke)", async () => {
    const smoke = await runScript("e2e/smoke/main.ts", [], 5 * MINUTE_MS);
    assert.equal(smoke.code, 0, `${JSON.stringify(smoke.figures)}\n${smoke.stderr}`);
    assert.deepEqual(
      { lost: smoke.figures.lost, duplicated: smoke.figures.duplicated, reordered: smoke.figures.reordered },
      { lost: 0, duplicated: 0, reordered: 0 },
    );
    assert.equal(smoke.figures.delivered, smoke.figures.acked);
    await waitForEntries(3);
  });

  it("does what a marketplace's chat does, step by step (smoke-market)", async () => {
    const walk = await runScript("e2e/market/main.ts", [], 5 * MINUTE_MS);
    assert.equal(walk.code, 0, `${JSON.stringify(walk.figures)}\n${walk.stderr}`);
    assert.equal(walk.figures.failed, 0);
    assert.ok(Number(walk.figures.steps) >= 13, JSON.stringify(walk.figures));
  });

  it("is spoken to by a client in another language", async () => {
    const folder = mkdtempSync(join(tmpdir(), "im-python-"));
    try {
      const { address, serverName, caPem, mintToken } = await demoAccess(tools);
      const ca = join(folder, "ca.crt");
      writeFileSync(ca, caPem);
      const tokens = await Promise.all(["py-alice", "py-bob"].map((user) => mintToken(user)));
      const talk = ["talk", "--host", address, "--server-name", serverName, "--ca", ca, "--tokens", ...tokens];
      assert.deepEqual((await provePython(talk)).failures, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("serves the demo page: two people chat in a real browser", async () => {
    const folder = mkdtempSync(join(tmpdir(), "im-demo-"));
    try {
      const seen = await runScript("e2e/demo/main.ts", ["--out", join(folder, "demo.png")], 2 * MINUTE_MS);
      assert.equal(seen.code, 0, seen.stderr);
      assert.deepEqual([seen.figures.shown, seen.figures.pageErrors], [5, 0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("tells by kubectl im, through real kubelets, where a user is and what became of a message", async () => {
    const route = await type("kubectl im route", `kubectl im route alice -n ${DEMO_NAMESPACE} -o json`);
    const { devices, inboxHead } = JSON.parse(route.stdout) as { devices: { platform: string }[]; inboxHead: number };
    assert.ok(devices.some(({ platform }) => platform === "web") && inboxHead > 0, route.stdout);
    const trace = await newcomer.type(`kubectl im trace nope --user alice -n ${DEMO_NAMESPACE}`, MINUTE_MS);
    assert.equal(trace.code, 1, endOf(trace));
    assert.match(trace.stderr, /alice neither sent nope nor has it/);
    const logs = await type("kubectl im logs", `kubectl im logs -n ${DEMO_NAMESPACE} --since 10m`);
    assert.match(logs.stdout, /INFO +demo-/);
  });

  it("scales by kubectl scale, up and down through the drain", async () => {
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=5"]);
    await waitForEntries(5);
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=2"]);
    await waitForEntries(2);
    const object = await tools.getJson<{ status?: { drains?: { phase?: string }[] } }>([
      "imc",
      DEMO_NAME,
      "-n",
      DEMO_NAMESPACE,
    ]);
    assert.ok((object.status?.drains ?? []).length >= 3, JSON.stringify(object.status?.drains));
  });

  it("replaces an entry pod that was deleted by hand", async () => {
    const [first = ""] = await entryPods();
    await tools.kubectl(["delete", first, "-n", DEMO_NAMESPACE, "--wait=false"]);
    await eventually("the pod is gone", 2 * MINUTE_MS, async () =>
      (await entryPods()).includes(first) ? undefined : true,
    );
    await waitForEntries(2);
  });

  it("replaces the entries while two people chat", async () => {
    assert.ok(pages);
    // Meanwhile they were in the browser of another test.
    for (const user of ["alice", "bob"] as const) await pages.takeBack(user);
    await pages.connected();
    const before = new Set(await entryPods());
    const patch = { spec: { entry: { drain: { window: "4s" } } } };
    await tools.kubectl(["patch", "imc", DEMO_NAME, "-n", DEMO_NAMESPACE, "--type=merge", "-p", JSON.stringify(patch)]);
    await eventually(
      "all entries are new ones",
      3 * MINUTE_MS,
      async () => ((await entryPods()).some((pod) => before.has(pod)) ? undefined : true),
      () => describeNamespace(tools, DEMO_NAMESPACE),
    );
    await waitForEntries(2);
    await pages.connected();
    await pages.say("bob", "Are you still there?");
    await pages.say("alice", "I have noticed nothing.");
    assert.deepEqual(pages.errors, []);
  });

  it("shows something in every panel of every dashboard, after it was scaled and upgraded", async () => {
    const queries = panelQueries();
    console.log(`figures: ${queries.length} queries of panels on the real cluster`);
    assert.ok(queries.length > 60);
    let empty = queries;
    let said = 0;
    await eventually(
      "every panel shows something",
      MINUTE_MS,
      async () => {
        // Some show what happens now.
        await pages?.say("alice", `Something to look at, ${++said}.`);
        empty = await emptyPanels(prometheus, empty);
        return empty.length === 0 ? true : undefined;
      },
      () => Promise.resolve(empty.map(({ title, expr }) => `${title}: ${expr}`).join("\n")),
    );
  });

  it("is watched by Prometheus: ImGatewayDown fires when an entry is gone that cannot come back, its runbook says why, and it resolves", async () => {
    const firing = async (name: string): Promise<ActiveAlert | undefined> =>
      (await prometheus.alerts()).find(({ state, labels }) => state === "firing" && labels.alertname === name);
    const told = async (): Promise<string> =>
      `${JSON.stringify(await prometheus.query("im_cluster_entries"))}\n${watching?.output()}`;
    const nodes = await nodeNames();
    const pods = await entryPods();
    try {
      await eventually("entries, logics, extlogics and the operator are scraped", MINUTE_MS, async () => {
        const found = await prometheus.query("count by (component) (up == 1)");
        return found.length === 4 ? true : undefined;
      });
      await eventually(
        "it does not fire",
        3 * MINUTE_MS,
        async () => !(await firing("ImGatewayDown")) || undefined,
        told,
      );
      const brokenMs = performance.now();
      await type("an entry is taken away", newcomer.block("docs/quick-start.md", /^kubectl cordon/m).text);
      const alert = await eventually(
        "it fires",
        4 * MINUTE_MS,
        () => firing("ImGatewayDown"),
        async () => `${await told()}\n${await describeNamespace(tools, DEMO_NAMESPACE)}`,
      );
      // The others are on nodes that are closed, too, and serve.
      assert.equal(await firing("ImNoGateways"), undefined, await told());
      console.log(`figures: newcomer: the alert fires after ${Math.round((performance.now() - brokenMs) / 1000)} s`);
      await followRunbook(alert);
      await eventually(
        "it is resolved",
        3 * MINUTE_MS,
        async () => !(await firing("ImGatewayDown")) || undefined,
        told,
      );
      await waitForEntries(pods.length);
      console.log(
        `figures: newcomer: alert, runbook, resolved: ${Math.round((performance.now() - brokenMs) / 1000)} s`,
      );
    } finally {
      await tools.kubectl(["uncordon", ...nodes]);
    }
  });

  /** From the alert to its page, and what that says is typed; its answers are those that it promises. */
  async function followRunbook(alert: ActiveAlert): Promise<void> {
    const page = runbookOf(alert);
    assert.ok(page, JSON.stringify(alert));
    const saysWhere = async (): Promise<true | undefined> =>
      (watching?.output() ?? "").includes(`ImGatewayDown fires (warning)`) && watching?.output().includes(page)
        ? true
        : undefined;
    await eventually("make prometheus names the runbook", MINUTE_MS, saysWhere);
    const { namespace = "", name = "" } = alert.labels;
    const asWritten = (text: string): string => text.replace(/\bNAMESPACE\b/g, namespace).replace(/\bNAME\b/g, name);
    const found = await type("what its runbook asks", asWritten(newcomer.block(page, /kubectl im status/).text));
    assert.match(found.stdout, /Pending .*Unschedulable/);
    assert.match(found.stdout, /FailedScheduling/);
    const closed = [...found.stdout.matchAll(/^(\S+) +Ready,SchedulingDisabled/gm)].map(([, node = ""]) => node);
    assert.deepEqual(closed.sort(), (await nodeNames()).sort(), found.stdout);
    const mend = newcomer.block(page, /kubectl uncordon/).text;
    await type("what mends it", closed.map((node) => mend.replace(/\bNODE\b/g, node)).join("\n"));
  }

  it("converges after the operator was killed in the middle of a scale-up", async () => {
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=4"]);
    const selector = "app.kubernetes.io/name=im-operator";
    await tools.kubectl(["delete", "pods", "-n", "imcluster-system", "-l", selector, "--grace-period=0", "--force"], {
      timeoutMs: MINUTE_MS,
    });
    await waitForEntries(4);
  });

  it("installs, upgrades and uninstalls both charts by Helm", async () => {
    const args = [
      CHART,
      "-n",
      SHOP,
      "--create-namespace",
      "--set",
      "spec.entry.replicas=1,spec.logic.replicas=1,spec.extlogic.replicas=1",
    ];
    await tools.helm(["install", "shop", ...args]);
    await tools.kubectl(["wait", "--for=condition=Ready", "imc/shop", "-n", SHOP, "--timeout=150s"], {
      timeoutMs: 3 * MINUTE_MS,
    });
    await tools.helm(["upgrade", "shop", ...args, "--set", "spec.entry.replicas=2"]);
    await eventually("two entries", 2 * MINUTE_MS, async () =>
      (await getImCluster(tools, "shop", SHOP)).status?.entry?.summary === "2/2" ? true : undefined,
    );
    await helmTest();
    await tools.helm([
      "upgrade",
      "im-operator",
      join(PROJECT_ROOT, "charts/im-operator"),
      "-n",
      "imcluster-system",
      "--reuse-values",
      "--set",
      "logLevel=debug",
      "--wait",
      "--timeout",
      "120s",
    ]);
    await tools.helm(["uninstall", "shop", "-n", SHOP]);
    await eventually(
      "nothing of the shop is left",
      2 * MINUTE_MS,
      async () => ((await objectsIn(SHOP)).length === 0 ? true : undefined),
      async () => (await objectsIn(SHOP)).join("\n"),
    );
  });

  it("removes everything it owned when the ImCluster is deleted", async () => {
    await tools.kubectl(["delete", "imc", DEMO_NAME, "-n", DEMO_NAMESPACE, "--timeout=120s"], {
      timeoutMs: 3 * MINUTE_MS,
    });
    await eventually(
      "the namespace is empty",
      2 * MINUTE_MS,
      async () => ((await objectsIn(DEMO_NAMESPACE)).length === 0 ? true : undefined),
      async () => (await objectsIn(DEMO_NAMESPACE)).join("\n"),
    );
  });

  it("uninstalls the operator by Helm and keeps the CRD", async () => {
    await tools.helm(["uninstall", "im-operator", "-n", "imcluster-system", "--wait"]);
    await eventually(
      "the operator's namespace is empty",
      MINUTE_MS,
      async () => ((await objectsIn("imcluster-system")).length === 0 ? true : undefined),
      async () => (await objectsIn("imcluster-system")).join("\n"),
    );
    assert.match(await tools.kubectl(["get", "crd", "imclusters.imcluster.io", "-o", "name"]), /imclusters/);
  });

  it("leaves nothing behind after make down", async () => {
    await pages?.close();
    pages = undefined;
    await type("make down", newcomer.block("docs/quick-start.md", /^make down/m).text);
    assert.deepEqual(await leftovers(), []);
  });
});
