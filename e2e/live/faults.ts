// SPDX-License-Identifier: Apache-2.0
// Scenarios in which something breaks, or is taken away.
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeLayout } from "../../scripts/cluster/layout.ts";
import { setNodeLink } from "../../scripts/cluster/network.ts";
import { ensureNodeAgents, nodeProcesses } from "../../scripts/cluster/node.ts";
import { signalProcess } from "../../scripts/cluster/process-identity.ts";
import { runningProcess } from "../../scripts/cluster/processes.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { ENTRIES } from "./pace.ts";
import { PROGRAM, podProcess } from "./pod-process.ts";
import { mustBeReleased } from "./scaling.ts";
import { must, type Scenario } from "./scenario.ts";
import { makeSecondFleet } from "./second-fleet.ts";
import type { LiveSite, SitePod } from "./site.ts";

const NODE_TIMEOUT_MS = 240_000;
/** The control plane gives a silent node up after 40 s, its entries 30 s later. */
const NODE_AWAY_MS = 80_000;
const KILLS = 5;
/** Longer than the lease of the operator, shorter than its liveness probe takes to kill it. */
const FREEZE_MS = 22_000;

const nodeDrain: Scenario = {
  name: "node-drain",
  limits: { reconnectsPerClient: 2, offlineP99Ms: 5000 },
  ready: spread,
  async run({ site, say }) {
    const { name } = await site.victimNode();
    say(`kubectl drain ${name}`);
    const options = ["--ignore-daemonsets", "--delete-emptydir-data", `--timeout=${NODE_TIMEOUT_MS / 1000}s`];
    await site.tools.kubectl(["drain", name, ...options], { timeoutMs: NODE_TIMEOUT_MS + 10_000 });
    try {
      const left = (await site.entries()).filter(({ node, isDeleting }) => node === name && !isDeleting);
      must(left.length === 0, `still on ${name}: ${left.map((pod) => pod.name).join(", ")}`);
    } finally {
      await site.tools.kubectl(["uncordon", name]);
    }
    await site.settled();
  },
};

/** The node that is going to be taken away has its share of entries, logic and operators. */
async function spread(site: LiveSite): Promise<void> {
  const { name } = await site.victimNode();
  const isThere = ({ node, isDeleting }: SitePod): boolean => node === name && !isDeleting;
  const entries = await site.entries();
  if (entries[0] && !entries.some(isThere)) await site.requestDrain(entries[0].name);
  const [logic, operators] = [await site.podsOf("logic"), await site.operators()];
  if (logic[0] && !logic.some(isThere)) await site.deletePod(logic[0]);
  if (operators[0] && !operators.some(isThere)) await site.deletePod(operators[0]);
  await site.until(`pods run on ${name}`, async () => {
    const there = [await site.entries(), await site.podsOf("logic"), await site.operators()];
    return there.every((pods) => pods.some((pod) => isThere(pod) && pod.isReady)) ? true : undefined;
  });
  await site.settled(`${name} has its share of pods`);
  // A new entry has nobody until clients come anew.
  if ((await sessionsOn(site, name)) > 0) return;
  await drainFullest(site);
  await site.until(`${name} has its share of clients`, async () =>
    (await sessionsOn(site, name)) > 0 ? true : undefined,
  );
  await site.settled();
}

async function sessionsOn(site: LiveSite, node: string): Promise<number> {
  const { pods = [] } = (await site.imCluster()).status ?? {};
  return pods.reduce((sum, pod) => sum + (pod.node === node ? (pod.sessions ?? 0) : 0), 0);
}

/** As many entries as wanted serve elsewhere. */
async function elsewhere(site: LiveSite, { name }: NodeLayout): Promise<void> {
  await site.until(
    `${ENTRIES} entries on the other node`,
    async () => {
      const entries = await site.entries();
      const here = entries.filter(({ node, isReady, isDeleting }) => node !== name && isReady && !isDeleting);
      return here.length >= ENTRIES ? true : undefined;
    },
    NODE_TIMEOUT_MS,
  );
}

const nodeCut: Scenario = {
  name: "node-cut",
  limits: { reconnectsPerClient: 3, offlineP99Ms: 60_000 },
  ready: spread,
  async run({ site, fault }) {
    const node = await site.victimNode();
    await fault(`${node.name} is cut off`, async () => {
      await setNodeLink(node, false);
      try {
        await elsewhere(site, node);
      } finally {
        await setNodeLink(node, true);
      }
    });
    await site.settled();
  },
};

const kubeletKilled: Scenario = {
  name: "kubelet-killed",
  limits: { reconnectsPerClient: 3, offlineP99Ms: 30_000 },
  ready: spread,
  async run({ site, fault }) {
    const node = await site.victimNode();
    const kubelet = runningProcess(nodeProcesses(node).kubelet);
    must(kubelet !== undefined, `no kubelet runs on ${node.name}`);
    await fault(`the kubelet of ${node.name} is dead`, async () => {
      signalProcess(kubelet, "SIGKILL");
      try {
        await elsewhere(site, node);
        await sleep(NODE_AWAY_MS / 4);
      } finally {
        await ensureNodeAgents(node, await ensureBinaries(["kubelet", "kube-proxy"], site.context));
      }
    });
    await site.settled();
  },
};

const entryKilled: Scenario = {
  name: "entry-killed",
  limits: { reconnectsPerClient: 2, offlineP99Ms: 30_000 },
  async run({ site, fault }) {
    for (const { name, uid, restarts } of (await site.entries()).slice(0, 2)) {
      await fault(`kill -9 of ${name}`, async () => {
        const process = podProcess(name, PROGRAM.entry);
        must(process !== undefined && signalProcess(process, "SIGKILL"), `${name} has no process`);
        await site.until(`${name} has started again`, async () => {
          const pod = (await site.entries()).find((one) => one.name === name);
          return pod?.uid !== uid || (pod.restarts > restarts && pod.isReady) ? true : undefined;
        });
      });
    }
    await site.settled();
  },
};

/** At each phase that a drain comes into, until it has ended, at most {@link KILLS} times. */
const operatorKilled: Scenario = {
  name: "operator-killed",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  async run({ site, say }) {
    const before = await site.drains();
    await drainFullest(site);
    const { id } = await site.newDrain(before, "a drain begins", () => true);
    const phases: string[] = [];
    await site.until("the drain has ended", async () => {
      const phase = (await site.drains()).find((drain) => drain.id === id)?.phase ?? "";
      if (phase === "Released") return true;
      if (phases.includes(phase) || phases.length >= KILLS) return undefined;
      phases.push(phase);
      const { pod, process } = await site.leaderProcess();
      signalProcess(process, "SIGKILL");
      say(`${pod} killed in phase ${phase}`);
      return undefined;
    });
    must(phases.length >= 3, `the operator was killed in ${phases.join(", ")} only`);
    await site.settled();
    await mustBeReleased(site, before, 1);
  },
};

const operatorFrozen: Scenario = {
  name: "operator-frozen",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  async run({ site, say }) {
    const before = await site.drains();
    await drainFullest(site);
    await site.newDrain(before, "clients are asked", ({ phase }) => phase === "Draining");
    const { pod, process } = await site.leaderProcess();
    signalProcess(process, "SIGSTOP");
    try {
      const frozenMs = performance.now();
      say(`${pod} is frozen`);
      await site.until(
        "another operator leads",
        async () => ((await site.leader()) !== pod ? true : undefined),
        60_000,
      );
      say(`${await site.leader()} leads after ${Math.round(performance.now() - frozenMs)} ms`);
      await sleep(Math.max(0, FREEZE_MS - (performance.now() - frozenMs)));
    } finally {
      signalProcess(process, "SIGCONT");
    }
    await site.settled();
    must((await site.leader()) !== pod, `${pod} leads again`);
    await mustBeReleased(site, before, 1);
  },
};

const redisFlushed: Scenario = {
  name: "redis-flushed",
  limits: { reconnectsPerClient: 1, offlineP99Ms: 5000 },
  async run({ site, fault }) {
    const before = await site.drains();
    await drainFullest(site);
    await site.newDrain(before, "some clients are gone", isHalfWay);
    await fault("FLUSHALL", () => site.flushRedis(), "redis-loss");
    await site.settled();
    await mustBeReleased(site, before, 1);
  },
};

function isHalfWay({
  phase,
  initial = 0,
  remaining = 0,
}: {
  phase: string;
  initial?: number;
  remaining?: number;
}): boolean {
  return phase === "Draining" && initial > 0 && remaining < initial * 0.8;
}

/** The entry with most sessions is drained by request; another one comes in its place. */
async function drainFullest(site: LiveSite): Promise<void> {
  const { pods = [] } = (await site.imCluster()).status ?? {};
  const [fullest] = [...pods].sort((a, b) => (b.sessions ?? 0) - (a.sessions ?? 0));
  must(fullest !== undefined && (fullest.sessions ?? 0) > 0, "no entry has sessions");
  await site.requestDrain(fullest.name);
}

/** Whoever chats waits until it is there again, and goes on. */
const deleted: Scenario = {
  name: "deleted",
  limits: { reconnectsPerClient: 3, offlineP99Ms: 180_000 },
  isOfSecondFleet: true,
  async run({ site, say, fault }) {
    const { address } = (await site.imCluster()).status ?? {};
    await fault("the ImCluster is deleted", async () => {
      const startedMs = performance.now();
      await site.remove();
      say(`nothing of it is left after ${Math.round(performance.now() - startedMs)} ms; it is made again`);
      must((await makeSecondFleet(site)) === address, `it does not have the address ${address} again`);
    });
  },
};

export const FAULTS: readonly Scenario[] = [
  nodeDrain,
  nodeCut,
  kubeletKilled,
  entryKilled,
  operatorKilled,
  operatorFrozen,
  redisFlushed,
  deleted,
];
