// SPDX-License-Identifier: Apache-2.0
// `kubectl im cordon`, `uncordon` and `fence`: the operator does what is asked for.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { EXIT } from "../../kubectl/fault.ts";
import type { Pod } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench, conditionStatus } from "./support/bench.ts";
import { kubectlIm } from "./support/kubectl-im-fleet.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const WAIT_MS = 60_000;

let server: ImApiServer;
let bench: Bench;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());
afterEach(() => bench?.close());

async function setUp(replicas = 2) {
  bench = await Bench.open(server);
  await bench.startOperator();
  await bench.create({ entry: { replicas } });
  await bench.untilSettled();
  const im = kubectlIm(server, bench.namespace);
  const names = async () => (await bench.entryPods()).map(({ metadata }) => metadata.name).sort();
  const [first] = await bench.entryPods();
  assert.ok(first);
  return { im, names, pod: first, name: first.metadata.name };
}

const uidOf = ({ metadata }: Pod): string => metadata.uid ?? "";

describe("kubectl im cordon and uncordon", () => {
  it("close an entry to new connections, and open it again; nothing comes in its place", async () => {
    const { im, names, pod, name } = await setUp();
    const before = await names();
    const cordoned = await im(["cordon", name, "--wait"]);
    assert.equal(cordoned.code, EXIT.ok, cordoned.err);
    assert.match(cordoned.out, new RegExp(`^${name}: it takes no new connections; open ones stay$`, "m"));
    assert.equal(bench.fleet.isReady(pod), false);
    const seen = await bench.until(
      "it shows",
      ({ status }) => status?.pods?.some(({ state }) => state === "Cordoned") ?? false,
    );
    assert.equal(seen.status?.pods?.find(({ state }) => state === "Cordoned")?.name, name);
    assert.match((await im(["status"])).out, new RegExp(`${name} takes no new connections: by request`));
    const open = await im(["uncordon", name, "--wait"]);
    assert.equal(open.code, EXIT.ok, open.err);
    assert.match(open.out, new RegExp(`^${name}: it takes new connections again$`, "m"));
    await bench.untilSettled();
    assert.deepEqual(await names(), before);
    assert.equal(bench.fleet.drained.size, 0);
    assert.ok(bench.events.some(({ reason }) => reason === "EntryCordoned"));
  });
});

describe("kubectl im drain", () => {
  it("replaces an entry, after its clients have moved", async () => {
    const { im, names, pod, name } = await setUp();
    const { code, out, err } = await im(["drain", name, "--wait"]);
    assert.equal(code, EXIT.ok, err);
    assert.match(out, new RegExp(`^${name} is gone$`, "m"));
    assert.ok(bench.fleet.drained.has(uidOf(pod)) && bench.fleet.purged.includes(uidOf(pod)));
    await bench.untilSettled();
    const now = await names();
    assert.deepEqual([now.length, now.includes(name)], [2, false]);
    const drains = (await bench.get()).status?.drains ?? [];
    assert.deepEqual(
      drains.map(({ pod: of, reason }) => [of, reason]),
      [[name, "Manual"]],
    );
  });

  it("is taken back while no client was told anything, and not for a drain of another reason", async () => {
    const { im, names, name, pod } = await setUp();
    // Nothing can come in its place: the drain stays where it can be taken back.
    await bench.stopKubelet();
    assert.match(
      (await im(["drain", name])).out,
      /another comes, then its clients are asked to move; `kubectl im status` shows/,
    );
    await bench.until(
      "it is planned",
      ({ status }) => status?.drains?.some(({ phase }) => phase === "Planned") ?? false,
    );
    const kept = await im(["drain", name, "--cancel"]);
    assert.deepEqual([kept.code, kept.out], [EXIT.ok, `${name}: it stays\n`], kept.err);
    await bench.until("nothing is drained", ({ status }) => status?.entry?.draining === 0);
    assert.ok((await names()).includes(name));
    assert.ok(!bench.fleet.drained.has(uidOf(pod)));
    bench.startKubelet();
    await bench.untilSettled();
  });
});

describe("kubectl im fence", () => {
  it("asks first, then cuts and replaces", async () => {
    const { im, names, pod, name } = await setUp();
    const asked = await im(["fence", name]);
    assert.equal(asked.code, EXIT.failed);
    assert.equal(asked.err, `error: fence cuts every client of ${name} at once\nRun it again with --yes.\n`);
    const { code, err } = await im(["fence", name, "--yes", "--wait"]);
    assert.equal(code, EXIT.ok, err);
    assert.ok(!bench.fleet.drained.has(uidOf(pod)), "nobody is asked");
    assert.deepEqual((await bench.get()).spec.fencedEntries, [name]);
    await waitUntil("another came", async () => (await names()).length === 2, WAIT_MS);
    await bench.until("all are ready", (cluster) => conditionStatus(cluster, "EntriesReady") === "True");
  });
});

describe("requests", () => {
  it("are for entry pods only, and end when the signal comes", async () => {
    const { im, name } = await setUp(1);
    const other = await im(["cordon", "demo-entry-nope"]);
    assert.equal(
      other.err,
      `error: there is no pod demo-entry-nope in namespace ${bench.namespace}\nName one of ${name}.\n`,
    );
    const aborted = await im(["cordon", name, "--wait"], { signal: AbortSignal.abort() });
    assert.deepEqual([aborted.code, aborted.out], [EXIT.interrupted, ""]);
  });
});
