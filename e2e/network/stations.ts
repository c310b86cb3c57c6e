// SPDX-License-Identifier: Apache-2.0
// A process in the network namespace of every spot, which answers at all ports that nobody else answers at, and connects where it is told.
import { type ChildProcess, spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { run } from "../../scripts/cluster/command.ts";
import { BRIDGE, inNode, NODES, type NodeLayout } from "../../scripts/cluster/layout.ts";
import { execInNode } from "../../scripts/cluster/network.ts";
import { type Cell, portsOf } from "./cells.ts";
import type { Reply, Request } from "./probe.ts";
import type { Spot } from "./spots.ts";

const PROBE = join(import.meta.dirname, "probe.ts");
/** A refusal is told at once, or not at all: the kernel says only so many a second. */
const DIAL_TIMEOUT_MS = 3000;
const REPLY_TIMEOUT_MS = 60_000;
/** Stations that connect at a time. */
const AT_A_TIME = 6;

/** One process, asked one thing at a time. */
class Station {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  constructor(command: readonly string[]) {
    const [program = "", ...args] = command;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.on("error", () => undefined);
    this.#child.stdin?.on("error", () => undefined);
    if (!this.#child.stdout) throw new Error("a station has no output");
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** @throws Error when it ends, or does not answer in time */
  async ask(request: Request): Promise<Reply> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), REPLY_TIMEOUT_MS);
    const { value, done } = await this.#answers.next().finally(() => clearTimeout(timer));
    if (done) throw new Error("a station ended before it answered");
    const reply = JSON.parse(value) as Reply;
    if ("error" in reply) throw new Error(reply.error);
    return reply;
  }

  /** Asked to end; waits until it has. */
  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await ended.finally(() => clearTimeout(timer));
  }
}

/** Address of each pod's network namespace on a node, to the file that holds it open. */
async function namespacesOf(node: NodeLayout): Promise<Map<string, string>> {
  const script = 'for f in /run/netns/cni-*; do echo "$f $(nsenter --net="$f" ip -4 -o addr show dev eth0)"; done';
  const { stdout } = await execInNode(node, ["sh", "-c", script]);
  const found = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const [, file, ip] = /^(\S+) .*\binet ([0-9.]+)\//.exec(line) ?? [];
    if (file && ip) found.set(ip, file);
  }
  return found;
}

/** All stations. Close them: their namespaces stay otherwise, and so do the addresses outside. */
export class Stations {
  readonly spots: readonly Spot[];
  readonly #stations: ReadonlyMap<Spot, Station>;
  readonly #addresses: readonly string[];

  private constructor(stations: ReadonlyMap<Spot, Station>, addresses: readonly string[]) {
    this.spots = [...stations.keys()];
    this.#stations = stations;
    this.#addresses = addresses;
  }

  static async open(spots: readonly Spot[]): Promise<Stations> {
    const probe = [realpathSync(process.execPath), PROBE];
    const outside = spots.filter(({ node }) => node === undefined).map(({ place }) => place.ip);
    for (const ip of outside) await run("ip", ["addr", "replace", `${ip}/32`, "dev", BRIDGE]);
    const commands = new Map<Spot, string[]>();
    for (const spot of spots) if (spot.node === undefined) commands.set(spot, probe);
    for (const node of NODES()) {
      const files = await namespacesOf(node);
      for (const spot of spots.filter((one) => one.node === node.name)) {
        const file = files.get(spot.place.ip);
        if (file) commands.set(spot, [...inNode(node), "nsenter", `--net=${file}`, "--", ...probe]);
      }
    }
    const stations = new Map([...commands].map(([spot, command]) => [spot, new Station(command)] as const));
    const opened = new Stations(stations, outside);
    try {
      for (const [spot, station] of stations) {
        const addresses = [spot.node === undefined ? spot.place.ip : "0.0.0.0"];
        await station.ask({ listen: { ...portsOf(spot), addresses } });
      }
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** Which of these are open now. */
  async look(cells: readonly Cell[]): Promise<boolean[]> {
    const seen = cells.map(() => false);
    const waiting = [...this.#stations];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [spot, station] = next;
        const own = cells.flatMap((cell, index) => (cell.from === spot ? [{ cell, index }] : []));
        if (own.length === 0) continue;
        const from = spot.node === undefined ? { from: spot.place.ip } : {};
        const dial = own.map(({ cell }) => cell.target);
        const reply = await station.ask({ dial, ...from, timeoutMs: DIAL_TIMEOUT_MS });
        own.forEach(({ index }, at) => {
          seen[index] = "open" in reply && (reply.open[at] ?? false);
        });
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    return seen;
  }

  /** Status of an HTTP answer that has a body; what went wrong otherwise. */
  async get(from: Spot, url: string): Promise<string> {
    const reply = await this.#stations.get(from)?.ask({ get: url, timeoutMs: DIAL_TIMEOUT_MS }).catch(String);
    if (reply === undefined || typeof reply === "string") return reply ?? "nobody is there";
    return "status" in reply && reply.bytes > 0 ? `${reply.status}` : "an empty answer";
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stations.values()].map((station) => station.close()));
    for (const ip of this.#addresses) await run("ip", ["addr", "del", `${ip}/32`, "dev", BRIDGE], { mayFail: true });
  }
}
