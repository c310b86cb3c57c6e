// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { LoadFault, LoadWindow } from "./load-crowd.ts";
import type { LoadCall, LoadReply } from "./load-process.ts";

/** Options of {@link openLoad}. */
export interface LoadOptions {
  clients: number;
  /** Messages per second in all. */
  ratePerSecond: number;
  processes: number;
  /** Where clients connect. Default: the demo. */
  address?: string;
}

/** A call that takes longer than it may has a process that hangs. */
const CALL_MARGIN_MS = 120_000;
const ARRIVE_TIMEOUT_MS = 600_000;

/** Clients in a few processes, all logged in. @throws when a client cannot log in */
export async function openLoad({ clients, ratePerSecond, processes, ...where }: LoadOptions): Promise<Load> {
  const run = Date.now().toString(36);
  const holders = Array.from({ length: processes }, () => new Holder());
  const load = new Load(holders);
  const pairsOf = (at: number): number => Math.floor((clients / 2 + at) / processes);
  try {
    await Promise.all(
      holders.map((holder, at) => {
        const order = { seed: `${run}-${at}`, pairs: pairsOf(at), ratePerSecond: ratePerSecond / processes, ...where };
        return holder.call({ do: "arrive", order }, ARRIVE_TIMEOUT_MS);
      }),
    );
    return load;
  } catch (error) {
    await load.close();
    throw error;
  }
}

/** What {@link LoadCrowd} does, over all processes. */
export class Load {
  readonly #holders: readonly Holder[];

  constructor(holders: readonly Holder[]) {
    this.#holders = holders;
  }

  async start(): Promise<void> {
    await this.#all({ do: "start" });
  }

  async note(fault: LoadFault): Promise<void> {
    await this.#all({ do: "note", fault });
  }

  async settle(timeoutMs: number): Promise<LoadWindow> {
    const replies = await this.#all({ do: "settle", timeoutMs }, timeoutMs + CALL_MARGIN_MS);
    return addWindows(replies.flatMap(({ window }) => (window ? [window] : [])));
  }

  async #all(call: LoadCall, timeoutMs = CALL_MARGIN_MS): Promise<LoadReply[]> {
    return await Promise.all(this.#holders.map((holder) => holder.call(call, timeoutMs)));
  }

  /** Ends the processes. */
  async close(): Promise<void> {
    await Promise.all(this.#holders.map((holder) => holder.close()));
  }
}

const isShort = ({ sessions, clients }: LoadWindow): boolean => sessions.length < clients;

/** Sums, highest values and lists of all. Pure. */
export function addWindows(windows: readonly LoadWindow[]): LoadWindow {
  const reconnectsPerClientMax = Math.max(0, ...windows.map((window) => window.reconnectsPerClientMax));
  const sum = (of: (window: LoadWindow) => number): number => windows.reduce((total, window) => total + of(window), 0);
  return {
    clients: sum(({ clients }) => clients),
    acked: sum(({ acked }) => acked),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    reordered: sum(({ reordered }) => reordered),
    otherViolations: sum(({ otherViolations }) => otherViolations),
    reconnects: sum(({ reconnects }) => reconnects),
    reconnectsPerClientMax,
    offlineMs: windows.flatMap(({ offlineMs }) => offlineMs),
    sessions: windows.flatMap(({ sessions }) => sessions),
    violations: windows.flatMap(({ violations }) => violations),
    trail:
      (windows.find(isShort) ?? windows.find((one) => one.reconnectsPerClientMax === reconnectsPerClientMax))?.trail ??
      [],
  };
}

const CLOSE_TIMEOUT_MS = 10_000;

/** One process of clients. */
class Holder {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: LoadReply) => void>();
  #ids = 0;

  constructor() {
    // Nothing on stdout: it belongs to the results.
    this.#child = fork(new URL("load-process.ts", import.meta.url), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.on("message", (reply: LoadReply) => this.#waiting.get(reply.id)?.(reply));
    this.#child.once("exit", (code, signal) => this.#ended(`a load process ended (${signal ?? code})`));
    this.#child.once("error", (error) => this.#ended(error.message));
  }

  #ended(fault: string): void {
    for (const [id, settle] of this.#waiting) settle({ id, fault });
  }

  /** @throws Error with what went wrong in the process, or when it ends, or does not answer in time */
  call(call: LoadCall, timeoutMs: number): Promise<LoadReply> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      const settle = (reply: LoadReply): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (reply.fault === undefined) resolve(reply);
        else reject(new Error(`${call.do}: ${reply.fault}`));
      };
      const timer = setTimeout(() => settle({ id, fault: `no answer within ${timeoutMs / 1000} s` }), timeoutMs);
      this.#waiting.set(id, settle);
      if (this.#child.connected) this.#child.send({ id, ...call });
      else settle({ id, fault: "the load process has ended" });
    });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    // One that does not close in time is ended all the same.
    await this.call({ do: "close" }, CLOSE_TIMEOUT_MS).catch(() => undefined);
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }
}
