// SPDX-License-Identifier: Apache-2.0
// A network of our own: a bridge and hosts, each in a network namespace without a name. The kernel removes all of it
// when the last process inside has ended, in whatever way: nothing can be left behind on the machine.
import { execFile, spawn } from "node:child_process";
import { existsSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { promisify } from "node:util";
import type { Place } from "./place.ts";
import { type GuardedProcess, startProcess, waitUntil } from "./processes.ts";

const exec = promisify(execFile);

const COMMAND_TIMEOUT_MS = 10_000;
/** Tells a process inside which network it came from. */
const OUTER_VARIABLE = "IMCLUSTER_OUTER_NETWORK";
const PROGRAMS = ["ip", "nsenter", "unshare", "setpriv", "iptables", "ss"];
const PREFIX = "10.77.0";
const FIRST_HOST = 10;
const MAX_HOSTS = 90;
/** A host's second address is this much above its first. */
const ALIAS_OFFSET = 100;

function networkOf(pid: number | "self"): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}

/** Is this process in a private network already? */
export function isInPrivateNetwork(): boolean {
  const outer = process.env[OUTER_VARIABLE];
  return outer !== undefined && outer !== networkOf("self");
}

/**
 * Runs a script of ours inside a new private network, with our terminal, and passes SIGINT and SIGTERM on; it dies
 * with us. Resolves with its exit code.
 * @throws Error when not root, or naming the program that is missing
 */
export function runInPrivateNetwork(script: string, args: readonly string[] = []): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("a private network needs root: run this as root");
  const guarded = ["--pdeathsig=KILL", "--", "unshare", "--net", "--", process.execPath, script, ...args];
  return new Promise((resolve, reject) => {
    const env = { ...process.env, [OUTER_VARIABLE]: networkOf("self") };
    const child = spawn("setpriv", guarded, { stdio: "inherit", env });
    // A terminal's Ctrl-C reaches the child by itself.
    const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
    const ignore = (): void => undefined;
    process.once("SIGTERM", forward);
    process.on("SIGINT", process.stdin.isTTY ? ignore : forward);
    child.once("error", (cause) => reject(new Error("setpriv (package util-linux) is missing", { cause })));
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}

/** One machine of the network. */
export interface NetworkHost extends Place {
  readonly name: string;
  /** A second address of the same machine, so that some of its peers can be cut off and others not. */
  readonly alias: string;
}

/** One filter rule: what `host` drops of what it receives. */
export interface DropRule {
  host: NetworkHost;
  /** Only packets from this address. */
  from?: string;
  /** Only packets to this address. */
  to?: string;
  /** Share of the packets, 0 to 1. Default all. */
  share?: number;
}

/** Undoes a fault. May be called once. */
export type Heal = () => Promise<void>;

async function command(line: readonly string[]): Promise<string> {
  const [file = "", ...args] = line;
  const { stdout } = await exec(file, args, { timeout: COMMAND_TIMEOUT_MS });
  return stdout;
}

/** A bridge in the network of this process, where this process is `hub`, and the hosts on it. */
export class PrivateNetwork {
  /** This process. */
  readonly hub: NetworkHost = { name: "hub", host: `${PREFIX}.1`, alias: `${PREFIX}.2`, enter: [] };
  readonly #hosts = new Map<string, NetworkHost>();
  readonly #anchors: GuardedProcess[] = [];

  /** @throws Error when this process is not in a private network: the machine's own stays untouched */
  async open(): Promise<void> {
    if (!isInPrivateNetwork()) throw new Error("not in a private network: start through runInPrivateNetwork");
    for (const program of PROGRAMS) await this.#require(program);
    await command(["ip", "link", "set", "lo", "up"]);
    await command(["ip", "link", "add", "im0", "type", "bridge"]);
    for (const address of [this.hub.host, this.hub.alias])
      await command(["ip", "address", "add", `${address}/24`, "dev", "im0"]);
    await command(["ip", "link", "set", "im0", "up"]);
  }

  async #require(program: string): Promise<void> {
    const folders = (process.env.PATH ?? "").split(":");
    if (folders.some((folder) => existsSync(`${folder}/${program}`))) return;
    throw new Error(`${program} is missing: apt-get install iproute2 iptables util-linux`);
  }

  get hosts(): NetworkHost[] {
    return [...this.#hosts.values()];
  }

  /** The host of that name, made when it is new. */
  async addHost(name: string): Promise<NetworkHost> {
    const known = this.#hosts.get(name);
    if (known) return known;
    const index = this.#anchors.length;
    if (index >= MAX_HOSTS) throw new RangeError(`a private network has at most ${MAX_HOSTS} hosts`);
    const anchor = await startProcess({
      name: `network of ${name}`,
      command: "unshare",
      args: ["--net", "sleep", "inf"],
    });
    this.#anchors.push(anchor);
    await waitUntil(`network of ${name}`, () => networkOf(anchor.pid) !== networkOf("self"));
    const address = (offset: number): string => `${PREFIX}.${FIRST_HOST + index + offset}`;
    const enter = ["nsenter", `--net=/proc/${anchor.pid}/ns/net`, "--"];
    const host = { name, host: address(0), alias: address(ALIAS_OFFSET), enter };
    const cable = ["type", "veth", "peer", "name", "eth0", "netns", String(anchor.pid)];
    await command(["ip", "link", "add", `im${FIRST_HOST + index}`, ...cable]);
    await command(["ip", "link", "set", `im${FIRST_HOST + index}`, "master", "im0", "up"]);
    await command([...enter, "ip", "link", "set", "lo", "up"]);
    for (const at of [host.host, host.alias])
      await command([...enter, "ip", "address", "add", `${at}/24`, "dev", "eth0"]);
    await command([...enter, "ip", "link", "set", "eth0", "up"]);
    this.#hosts.set(name, host);
    return host;
  }

  /** The host of that name. @throws RangeError when there is none */
  find(name: string): NetworkHost {
    const host = name === this.hub.name ? this.hub : this.#hosts.get(name);
    if (!host) throw new RangeError(`no host ${name} in the private network`);
    return host;
  }

  /** Packets that match a rule vanish until it is healed: the sender learns nothing, as with a cut cable. */
  async drop(rules: readonly DropRule[]): Promise<Heal> {
    const applied: string[][] = [];
    const heal = async (): Promise<void> => {
      for (const line of applied.splice(0)) await command(line);
    };
    try {
      for (const rule of rules) {
        const { enter } = rule.host;
        await command([...enter, "iptables", "-w", "-I", "INPUT", ...matchOf(rule), "-j", "DROP"]);
        applied.push([...enter, "iptables", "-w", "-D", "INPUT", ...matchOf(rule), "-j", "DROP"]);
      }
    } catch (error) {
      await heal();
      throw error;
    }
    return heal;
  }

  /** Resets all TCP connections of `host` with `peer`: both ends get an error at once. */
  async reset(host: NetworkHost, peer: string): Promise<void> {
    await command([...host.enter, "ss", "-K", "-t", "state", "connected", "dst", peer]);
  }

  /** Ends the hosts; whatever still runs on them keeps its network, without a cable, until it ends. */
  async close(): Promise<void> {
    await Promise.all(this.#anchors.splice(0).map((anchor) => anchor.stop("SIGKILL")));
    this.#hosts.clear();
    await command(["ip", "link", "delete", "im0"]);
    for (const name of await this.#cables()) await this.#removeCable(name);
  }

  /** The kernel removes a cable by itself once the namespace at its other end is gone: then there is nothing to do. */
  async #removeCable(name: string): Promise<void> {
    try {
      await command(["ip", "link", "delete", name]);
    } catch (error) {
      if ((await this.#cables()).includes(name)) throw error;
    }
  }

  async #cables(): Promise<string[]> {
    const listed = await command(["ip", "-o", "link", "show", "type", "veth"]);
    return [...listed.matchAll(/^\d+: (im\d+)@/gm)].map((match) => match[1] ?? "");
  }
}

function matchOf({ from, to, share }: DropRule): string[] {
  return [
    ...(from === undefined ? [] : ["-s", from]),
    ...(to === undefined ? [] : ["-d", to]),
    ...(share === undefined ? [] : ["-m", "statistic", "--mode", "random", "--probability", share.toFixed(4)]),
  ];
}
