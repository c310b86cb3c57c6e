// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { silentLogger } from "#lib/logger.ts";
import { startApiServer, type TestApiServer } from "../../e2e/harness/api-server.ts";
import type { KubeClient } from "./client.ts";
import { type Delta, Reflector, type ReflectorOptions } from "./reflector.ts";
import { createKubeClient, loadKubeConfig } from "./rest-client.ts";
import { until } from "./testing/wait.ts";
import { CONFIG_MAPS, type ConfigMap } from "./types.ts";

const TIMEOUT = { timeout: 90_000 };
const NS = "default";

let server: TestApiServer;
let client: KubeClient;
let reflector: Reflector<ConfigMap>;
let restarts: string[];
let lists: number;
let seen: string[];

before(async () => {
  server = await startApiServer();
  client = createKubeClient({ kubeConfig: loadKubeConfig({ path: server.kubeconfigPath }) });
});

afterEach(async () => {
  server.resume();
  await reflector.close();
});

after(async () => {
  client.close();
  await server.stop();
});

/** Of the objects that carry the label of one test. */
async function start(label: string, options: Partial<ReflectorOptions<ConfigMap>> = {}): Promise<void> {
  restarts = [];
  seen = [];
  lists = 0;
  reflector = new Reflector<ConfigMap>({
    client,
    resource: CONFIG_MAPS,
    namespace: NS,
    labelSelector: `test=${label}`,
    log: silentLogger,
    backoff: { baseMs: 20, capMs: 200 },
    metrics: { restarted: (_kind, cause) => restarts.push(cause), listed: () => lists++ },
    ...options,
  });
  reflector.on(({ type, object }: Delta<ConfigMap>) => seen.push(`${type} ${object.metadata.name}`));
  reflector.start();
  await reflector.synced();
}

const put = (label: string, name: string, data: Record<string, string> = {}): Promise<ConfigMap> =>
  client.apply(CONFIG_MAPS, { metadata: { namespace: NS, name, labels: { test: label } }, data });

const remove = (name: string) => client.delete(CONFIG_MAPS, NS, name);

test("lists in pages, then follows what happens, objects that leave the selection included", TIMEOUT, async () => {
  await Promise.all(Array.from({ length: 7 }, (_, index) => put("pages", `pages-${index}`)));
  await start("pages", { pageSize: 3 });
  assert.equal(reflector.size, 7);
  seen.length = 0;
  await put("pages", "pages-0", { changed: "yes" });
  await remove("pages-1");
  await put("elsewhere", "pages-2");
  await put("pages", "pages-9");
  await until("four deltas", () => seen.length === 4);
  assert.deepEqual(seen, ["updated pages-0", "deleted pages-1", "deleted pages-2", "added pages-9"]);
  assert.equal(reflector.get(NS, "pages-0")?.data?.changed, "yes");
  assert.equal(reflector.get(NS, "pages-0")?.kind, "ConfigMap");
});

test("a watch that the server ends goes on where it was", TIMEOUT, async () => {
  await start("timeout", { watchTimeoutSeconds: 1, random: () => 0.5 });
  await until("three ends", () => restarts.length >= 3);
  assert.deepEqual(new Set(restarts), new Set(["ended"]));
  await put("timeout", "timeout-1");
  await until("it is seen", () => reflector.size === 1);
  assert.equal(lists, 1);
});

test("a server frozen for longer than the inactivity time is watched again", TIMEOUT, async () => {
  await put("frozen", "frozen-1");
  await start("frozen", { inactivityMs: 1_000 });
  const frozenAt = restarts.length;
  server.pause();
  await until("silence was noticed and the next attempt failed", () => restarts.length >= frozenAt + 2);
  assert.ok(reflector.lastError);
  server.resume();
  await put("frozen", "frozen-2");
  await until("what came after is seen", () => reflector.size === 2);
  assert.ok(
    restarts.every((cause) => cause === "silent"),
    restarts.join(),
  );
  await until("it is healthy", () => reflector.lastError === undefined);
});

test("a restarted server costs no object", TIMEOUT, async () => {
  await put("restart", "restart-1");
  await put("restart", "restart-2");
  await start("restart");
  await server.restart();
  await remove("restart-1");
  await put("restart", "restart-1");
  await put("restart", "restart-3");
  await until("it caught up", () => reflector.size === 3);
  assert.deepEqual(seen.slice(2), ["deleted restart-1", "added restart-1", "added restart-3"]);
});

test("a version that etcd has compacted leads to a list", TIMEOUT, async () => {
  await put("compacted", "compacted-1");
  await start("compacted");
  // A version of long ago, as after hours without contact: the watch cache of a fresh server does not hold it.
  const expired: string[] = [];
  try {
    const watch = client.watch(CONFIG_MAPS, NS, { resourceVersion: "1", timeoutSeconds: 5, inactivityMs: 5_000 });
    for await (const event of watch) expired.push(event.type);
  } catch (error) {
    expired.push(String(error));
  }
  assert.match(expired.at(-1) ?? "", /too old resource version/);
});

test("without the right to watch it tries on, and works as soon as it may", TIMEOUT, async () => {
  const kubeConfig = loadKubeConfig({ path: await server.kubeconfigFor({ user: "late" }) });
  const late = createKubeClient({ kubeConfig });
  const started = start("late", { client: late });
  await until("it was refused", () => restarts.includes("list_failed"));
  assert.match(String(reflector.lastError), /forbidden/);
  const rbac = { apiVersion: "rbac.authorization.k8s.io/v1", namespaced: true };
  const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["list", "watch"] }];
  const metadata = { namespace: NS, name: "late" };
  await client.apply({ ...rbac, kind: "Role", plural: "roles" }, { metadata, rules } as never);
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "late" };
  const subjects = [{ kind: "User", name: "late", apiGroup: "rbac.authorization.k8s.io" }];
  await client.apply({ ...rbac, kind: "RoleBinding", plural: "rolebindings" }, {
    metadata,
    roleRef,
    subjects,
  } as never);
  await started;
  assert.equal(reflector.isSynced, true);
  late.close();
});
