// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { freePort } from "./ports.ts";
import { waitUntil } from "./processes.ts";
import { RedisServer, redisCli, requireRedis } from "./redis.ts";

const SLOTS = 16_384;
const MASTERS = 3;
const REPLICAS = 3;
/** Of a node towards its peers: a dead master is replaced after about twice this. */
const NODE_TIMEOUT_MS = 1000;
const FORM_TIMEOUT_MS = 90_000;
const FAILOVER_TIMEOUT_MS = 20_000;
/** So long nobody is replaced. */
const PATIENT_NODE_TIMEOUT_MS = 600_000;
const FOLDER_PREFIX = "imcluster-redis-cluster-";

/** One node as CLUSTER NODES tells it. */
export interface ClusterNode {
  readonly id: string;
  readonly server: RedisServer;
  readonly isMaster: boolean;
  /** Its peers do not mark it as failed, and it is linked to them. */
  readonly isGood: boolean;
  /** Slots that it serves. */
  readonly slots: number;
  /** Id of the master that it replicates; "" of a master. */
  readonly masterId: string;
}

/** A real Redis Cluster: three masters and three replicas, in memory. It dies with its starter. */
export class RedisCluster {
  readonly nodes: readonly RedisServer[];
  readonly #dir: string;
  readonly #reshardTargets = new Set<RedisServer>();

  constructor(nodes: readonly RedisServer[], dir: string) {
    this.nodes = nodes;
    this.#dir = dir;
  }

  /** `redis+cluster://` with all nodes. */
  get url(): string {
    return `redis+cluster://${this.nodes.map(({ port, place }) => `${place.host}:${port}`).join(",")}`;
  }

  /** What the first node that answers knows about all of them. @throws Error when none answers */
  async view(): Promise<ClusterNode[]> {
    for (const node of this.nodes) {
      if (node.pid === 0) continue;
      try {
        return parseNodes(await redisCli(node, "CLUSTER", "NODES"), this.nodes);
      } catch {
        // A node that is stopped or frozen: the next one knows as much.
      }
    }
    throw new Error("no node of the Redis Cluster answers");
  }

  /** The nodes that serve slots now. */
  async masters(): Promise<RedisServer[]> {
    return (await this.view()).filter(({ isMaster, isGood }) => isMaster && isGood).map(({ server }) => server);
  }

  /** FLUSHALL on every master: a total loss. */
  async flush(): Promise<void> {
    await Promise.all((await this.masters()).map((master) => master.flush()));
  }

  /**
   * Kills a master (default: the first one with a replica that may die) with SIGKILL and waits until its replica serves its slots:
   * about 2 s. `whileDead` runs in between, and the others do not act on the death before it has ended. Returns the dead
   * one: {@link RedisServer.start} brings it back as a replica.
   */
  async failover(victim?: RedisServer, whileDead?: () => Promise<void>): Promise<RedisServer> {
    if (victim && !this.mayDie(victim)) throw new Error("a node that was the target of a reshard must not fail over");
    const before = await this.view();
    const master = before.find(({ id, server, isMaster }) => {
      const isWanted = victim ? server === victim : this.mayDie(server);
      return isMaster && isWanted && before.some(({ masterId, isGood }) => masterId === id && isGood);
    });
    if (!master) throw new Error("no master with a replica to take over from");
    if (whileDead) await this.#setNodeTimeout(PATIENT_NODE_TIMEOUT_MS);
    await master.server.kill9();
    if (whileDead) {
      await whileDead();
      await this.#setNodeTimeout(NODE_TIMEOUT_MS);
    }
    const isReplaced = async (): Promise<boolean> =>
      (await this.view()).every(({ id, slots }) => id !== master.id || slots === 0);
    await waitUntil("the dead master's slots have a new owner", isReplaced, FAILOVER_TIMEOUT_MS);
    await this.waitServing(FAILOVER_TIMEOUT_MS);
    return master.server;
  }

  /** False of the targets of {@link reshard}. */
  mayDie(node: RedisServer): boolean {
    return !this.#reshardTargets.has(node);
  }

  async #setNodeTimeout(ms: number): Promise<void> {
    const running = this.nodes.filter(({ pid }) => pid !== 0);
    await Promise.all(running.map((node) => redisCli(node, "CONFIG", "SET", "cluster-node-timeout", ms)));
  }

  /**
   * Moves so many slots with their keys from one master to another, live; with no names: from the first to the last. The target must not die
   * afterwards ({@link mayDie}), because of a fault of Redis 7.0: a replica may keep the mark "its owner no longer claims it" of a moved
   * slot. Once it is the master itself, and the old one comes back and claims the slot as it did, it gives that away to one
   * who is a replica a moment later, and nobody serves the slot any more (seen in 1 of 22 runs).
   */
  async reshard(slots: number, from?: RedisServer, to?: RedisServer): Promise<void> {
    const masters = (await this.view()).filter(({ isMaster, isGood, slots: own }) => isMaster && isGood && own > 0);
    const source = from ? masters.find(({ server }) => server === from) : masters[0];
    const target = to ? masters.find(({ server }) => server === to) : masters.at(-1);
    if (!source || !target || source === target) throw new Error("reshard: two different masters are needed");
    const ids = ["--cluster-from", source.id, "--cluster-to", target.id, "--cluster-slots", String(slots)];
    const address = `${source.server.place.host}:${source.server.port}`;
    await redisCli(source.server, "--cluster", "reshard", address, ...ids, "--cluster-yes");
    await this.waitServing();
    this.#reshardTargets.add(target.server);
  }

  /** Resolves when every running node says that all slots are served, and by the same owners. @throws Error with what each node knows */
  async waitServing(timeoutMs = FORM_TIMEOUT_MS): Promise<void> {
    try {
      await waitUntil("the Redis Cluster serves all slots", () => this.#isServing(), timeoutMs);
    } catch (cause) {
      const views = await Promise.all(this.nodes.map((node) => describeNode(node)));
      throw new Error(`${String(cause)}\n${views.join("\n")}`, { cause });
    }
  }

  async #isServing(): Promise<boolean> {
    const running = this.nodes.filter(({ pid }) => pid !== 0);
    const infos = await Promise.all(running.map((node) => redisCli(node, "CLUSTER", "INFO").catch(() => "")));
    if (!infos.every((info) => info.includes("cluster_state:ok") && info.includes(`cluster_slots_ok:${SLOTS}`)))
      return false;
    const views = await Promise.all(running.map((node) => redisCli(node, "CLUSTER", "NODES").catch(() => "")));
    const served = parseNodes(views[0] ?? "", this.nodes).filter(({ isMaster, isGood }) => isMaster && isGood);
    if (served.reduce((sum, { slots }) => sum + slots, 0) !== SLOTS) return false;
    return new Set(views.map(slotOwners)).size === 1;
  }

  /** May be called more than once. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill9()));
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/**
 * Starts six redis-server processes and joins them to a cluster: about 3 s, 60 MB. A dead master is replaced within 2 s.
 * @throws Error when it is not formed within 30 s
 */
export async function startRedisCluster(options: { place?: Place } = {}): Promise<RedisCluster> {
  requireRedis();
  const dir = temporaryFolder(FOLDER_PREFIX);
  const nodes: RedisServer[] = [];
  for (let index = 0; index < MASTERS + REPLICAS; index++)
    nodes.push(await newNode(dir, index, options.place ?? LOOPBACK));
  const cluster = new RedisCluster(nodes, dir);
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await form(nodes);
    await cluster.waitServing();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** What a node knows of the cluster, and what it logged last: for the one who reads why it did not form. */
async function describeNode(node: RedisServer): Promise<string> {
  if (node.pid === 0) return `${node.port}: stopped`;
  const [info, nodes] = await Promise.all(
    ["INFO", "NODES"].map((word) => redisCli(node, "CLUSTER", word).catch((error: unknown) => String(error))),
  );
  return `${node.port}: ${info?.split("\n").slice(0, 7).join(" ")}\n${nodes}\n${node.output.slice(-2000)}`;
}

async function newNode(dir: string, index: number, place: Place): Promise<RedisServer> {
  const home = join(dir, String(index));
  mkdirSync(home);
  const settings = {
    dir: home,
    "cluster-enabled": "yes",
    "cluster-port": await freePort(),
    "cluster-node-timeout": NODE_TIMEOUT_MS,
    "cluster-replica-validity-factor": 0,
    "repl-diskless-sync-delay": 0,
    "repl-diskless-load": "swapdb",
  };
  return new RedisServer(await freePort(), { settings, place });
}

async function form(nodes: readonly RedisServer[]): Promise<void> {
  const share = Math.ceil(SLOTS / MASTERS);
  for (const [at, node] of nodes.slice(0, MASTERS).entries()) {
    await redisCli(node, "CLUSTER", "ADDSLOTSRANGE", at * share, Math.min(SLOTS, (at + 1) * share) - 1);
    await redisCli(node, "CLUSTER", "SET-CONFIG-EPOCH", at + 1);
  }
  const [first, ...others] = nodes;
  if (!first) return;
  const busPort = (await redisCli(first, "CONFIG", "GET", "cluster-port")).split("\n")[1] ?? "";
  for (const node of others) await redisCli(node, "CLUSTER", "MEET", first.place.host, first.port, busPort);
  const knowsAll = async (node: RedisServer): Promise<boolean> =>
    (await redisCli(node, "CLUSTER", "INFO")).includes(`cluster_known_nodes:${nodes.length}`);
  for (const node of nodes) await waitUntil(`node ${node.port} knows all`, () => knowsAll(node), FORM_TIMEOUT_MS);
  for (const [at, node] of nodes.slice(MASTERS).entries()) {
    const master = await redisCli(nodes[at % MASTERS] ?? first, "CLUSTER", "MYID");
    await waitUntil(
      `replica ${node.port} follows`,
      async () => (await redisCli(node, "CLUSTER", "REPLICATE", master)) === "OK",
      FORM_TIMEOUT_MS,
    );
  }
  const isSynced = async (node: RedisServer): Promise<boolean> =>
    (await redisCli(node, "INFO", "replication")).includes("master_link_status:up");
  for (const node of nodes.slice(MASTERS))
    await waitUntil(`replica ${node.port} is in step`, () => isSynced(node), FORM_TIMEOUT_MS);
  // A role travels by gossip: until a node has heard it, it takes a replica for a master without slots.
  const seesRoles = async (node: RedisServer): Promise<boolean> =>
    parseNodes(await redisCli(node, "CLUSTER", "NODES"), nodes).filter(({ isMaster }) => isMaster).length === MASTERS;
  for (const node of nodes)
    await waitUntil(`node ${node.port} knows the roles`, () => seesRoles(node), FORM_TIMEOUT_MS);
}

function parseNodes(text: string, servers: readonly RedisServer[]): ClusterNode[] {
  const byPort = new Map(servers.map((server) => [server.port, server]));
  return text.split("\n").flatMap((line) => {
    const [id = "", address = "", flags = "", masterId = "", , , , link, ...ranges] = line.split(" ");
    const server = byPort.get(Number(/:(\d+)@/.exec(address)?.[1]));
    if (!server) return [];
    const marks = flags.split(",");
    return {
      id,
      server,
      isMaster: marks.includes("master"),
      isGood: !marks.includes("fail") && !marks.includes("fail?") && (link === "connected" || marks.includes("myself")),
      slots: ranges.reduce((sum, range) => sum + countSlots(range), 0),
      masterId: masterId === "-" ? "" : masterId,
    };
  });
}

/**
 * Who has which slots, and since which epoch, as one node has it. A node that has not heard of the last move elects under
 * an epoch that is taken; whoever kills nodes then has a cluster at odds with itself.
 */
function slotOwners(text: string): string {
  const lines = text.split("\n").flatMap((line) => {
    const [id = "", , , , , , epoch = "", , ...ranges] = line.split(" ");
    return ranges.length > 0 ? `${id} ${epoch} ${ranges.join(" ")}` : [];
  });
  return lines.toSorted().join("\n");
}

/** `0-5460` or `7`; a slot on its way is written as `[7->-...]`. */
function countSlots(range: string): number {
  if (range.startsWith("[")) return 0;
  const [first = "", last = first] = range.split("-");
  return Number(last) - Number(first) + 1;
}
