// SPDX-License-Identifier: Apache-2.0
import { closeRequest } from "./carrier.ts";
import { Depth } from "./depth.ts";
import type { FuzzCase } from "./input.ts";
import {
  ALL_LANES,
  answers,
  carrierCaseOf,
  carrierOpening,
  caseOf,
  type Findings,
  type Lane,
  leasesIn,
  MAX_FAILURES,
  MAX_STALL_MS,
  MEMORY_SHARES,
  noFindings,
} from "./lanes.ts";
import { LeaseForge } from "./leases.ts";
import { LEASE_SECRET, MemoryDoor } from "./memory-door.ts";
import { growthMiB, memoryNow } from "./memory-now.ts";
import type { MemorySocket } from "./memory-socket.ts";
import { threadMs } from "./thread-time.ts";

/** Options of {@link runInMemory}. */
export interface MemoryRunOptions {
  seed: number;
  /** Mutated inputs in all. */
  inputs: number;
  /** Only this case. */
  only?: { lane: Lane; index: number };
}

/** Inputs after which memory is as full as it gets; growth counts from there. */
const WARM_UP = 0.1;
/** Until a session over HTTP is open. */
const OPENING_TURNS = 10;
/** A stall is one when the same case stalls again: garbage of others is collected at any time. */
const STALL_RETRIES = 3;

/** Drives the listeners, codecs and sessions of an entry in this process. Takes over `uncaughtException` meanwhile. */
export async function runInMemory(options: MemoryRunOptions): Promise<Findings> {
  const run = new MemoryRun(options);
  process.on("uncaughtException", run.onUncaught);
  try {
    return await run.all();
  } finally {
    process.off("uncaughtException", run.onUncaught);
  }
}

class MemoryRun {
  readonly #options: MemoryRunOptions;
  readonly #found = noFindings();
  readonly #depth = new Depth();
  #door = new MemoryDoor();
  #running = "";
  #slowestMs = 0;

  constructor(options: MemoryRunOptions) {
    this.#options = options;
  }

  readonly onUncaught = (error: Error): void => {
    this.#found.uncaught++;
    this.#fail(`uncaught: ${error.stack ?? error.message}`);
  };

  async all(): Promise<Findings> {
    const { inputs, only } = this.#options;
    if (only) {
      await this.#one(only.lane, only.index);
      return this.#found;
    }
    await this.#until(inputs * WARM_UP);
    const before = memoryNow();
    await this.#until(inputs);
    Object.assign(this.#found, growthMiB(before, memoryNow()), { deep: this.#depth.shares() });
    this.#found.failures.push(...this.#depth.shallow());
    return this.#found;
  }

  readonly #done = Object.fromEntries(ALL_LANES.map((lane) => [lane, { inputs: 0, index: 0 }])) as Record<
    Lane,
    { inputs: number; index: number }
  >;

  /** Lanes in turn, each by its share, until there were `inputs` in all. */
  async #until(inputs: number): Promise<void> {
    while (this.#found.inputs < inputs && this.#found.failures.length < MAX_FAILURES) {
      for (const [lane, share] of Object.entries(MEMORY_SHARES) as [Lane, number][]) {
        const done = this.#done[lane];
        for (const target = done.inputs + share; done.inputs < target; ) {
          done.inputs += await this.#one(lane, done.index++);
        }
      }
    }
  }

  /** Runs one case; returns how many inputs it had. */
  async #one(lane: Lane, index: number): Promise<number> {
    this.#running = `SEED=${this.#options.seed} ONLY=${lane}/${index}`;
    let played = await this.#play(lane, index);
    for (let i = 0; i < STALL_RETRIES && played.stallMs > MAX_STALL_MS; i++) {
      const again = await this.#play(lane, index);
      if (again.stallMs < played.stallMs) played = again;
    }
    const { stallMs, inputs, text } = played;
    if (stallMs > MAX_STALL_MS) this.#fail(`the event loop stood still for ${stallMs.toFixed(0)} ms`);
    this.#found.maxStallMs = Math.max(this.#found.maxStallMs, round(stallMs));
    this.#depth.add(lane, text);
    this.#found.inputs += inputs;
    return inputs;
  }

  /** Feeds a case to a new socket and sees it off; `stallMs`: its longest turn, `text`: what came back. */
  async #play(lane: Lane, index: number): Promise<{ stallMs: number; inputs: number; text: string }> {
    this.#slowestMs = 0;
    const session = lane === "carrier" ? await this.#openSession(index) : undefined;
    const { seed } = this.#options;
    const fuzz = lane === "carrier" ? carrierCaseOf(seed, index, this.#forge(session)) : caseOf(seed, lane, index);
    const socket = await this.#client(fuzz, lane === "proxy");
    end(socket, index);
    if (session) await this.#endSessions(session, socket, index);
    if (!(await this.#door.drained(socket))) {
      this.#found.crashes++;
      this.#fail("something of the client is left after it went");
      this.#door = new MemoryDoor();
    }
    const { text } = socket;
    if (answers(text) > (session ? fuzz.inputs : 1)) {
      this.#found.crashes++;
      this.#fail("more than one answer on one connection");
    }
    return { stallMs: this.#slowestMs, inputs: fuzz.inputs, text };
  }

  async #client({ chunks }: Pick<FuzzCase, "chunks">, isProxied = false): Promise<MemorySocket> {
    const socket = this.#door.open(isProxied);
    await this.#timed();
    for (const chunk of chunks) {
      if (socket.readableEnded || socket.destroyed) break;
      await this.#timed(() => this.#write(socket, chunk));
    }
    return socket;
  }

  /** A session that nothing is wrong with; its socket holds a stream, or had the first answer to a poll. */
  async #openSession(index: number): Promise<MemorySocket> {
    const { request } = carrierOpening(this.#options.seed, index);
    const holder = await this.#client({ chunks: [request] });
    for (let i = 0; i < OPENING_TURNS && leasesIn(holder.text).length === 0; i++) await this.#timed();
    return holder;
  }

  #forge(session: MemorySocket | undefined): LeaseForge {
    const own = leasesIn(session?.text ?? "")[0] ?? "";
    return new LeaseForge({ secret: LEASE_SECRET, wallMs: this.#door.wallMs, own, hasNetwork: false });
  }

  /** Whatever sessions the entry told of end now, as a client that leaves would do. */
  async #endSessions(holder: MemorySocket, socket: MemorySocket, index: number): Promise<void> {
    await this.#timed();
    for (const lease of leasesIn(`${holder.text}\n${socket.text}`))
      end(await this.#client({ chunks: [closeRequest(lease)] }), 1);
    end(holder, index);
    await this.#timed();
  }

  /** A listener may read at once: what it throws is nobody's to catch in an entry. */
  #write(socket: MemorySocket, chunk: Buffer): void {
    try {
      socket.push(chunk);
    } catch (error) {
      this.onUncaught(error as Error);
      socket.destroy();
    }
  }

  async #timed(begin?: () => void): Promise<void> {
    const [startMs, startCpuMs] = [performance.now(), threadMs()];
    begin?.();
    await this.#door.turn();
    const stallMs = Math.min(performance.now() - startMs, threadMs() - startCpuMs);
    if (stallMs > this.#slowestMs) this.#slowestMs = stallMs;
  }

  #fail(what: string): void {
    if (this.#found.failures.length < MAX_FAILURES) this.#found.failures.push(`${this.#running}: ${what}`);
  }
}

/** Clients end in order, by a reset, or after an error of their network. */
function end(socket: MemorySocket, index: number): void {
  if (index % 3 === 0) socket.push(null);
  else if (index % 3 === 1) socket.destroy();
  else socket.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
