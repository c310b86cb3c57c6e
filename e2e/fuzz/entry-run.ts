// SPDX-License-Identifier: Apache-2.0
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "#proto/commands.ts";
import { FrameClient } from "../../gateway/testing/frame-client.ts";
import { EntrySite, PROXY_ADDRESS } from "./entry-site.ts";
import { captureHellos, helloCase } from "./hellos.ts";
import type { FuzzCase } from "./input.ts";
import { answers, caseOf, type Findings, type Lane, MAX_FAILURES, noFindings } from "./lanes.ts";
import { growthMiB } from "./memory-now.ts";

/** Options of {@link runAgainstEntry}. */
export interface EntryRunOptions {
  seed: number;
  /** Mutated inputs in all. */
  inputs: number;
}

/** Of a hundred inputs, so many come from each lane. */
const SHARES: Readonly<Record<Lane | "tls", number>> = {
  frames: 44,
  websocket: 26,
  http: 12,
  first: 4,
  proxy: 4,
  tls: 10,
};
const WARM_UP = 0.2;
/** Clients at a time: enough to overlap, too few to fill a turn of the event loop by their number. */
const CLIENTS = 16;
const CLOSE_TIMEOUT_MS = 20_000;
/** How long a client that neither ends nor resets waits for the entry to do so. */
const LINGER_MS = 20;
const PING_EVERY_MS = 100;
const KEPT_CHARS = 16 * 1024;
/** The wheel of the entry holds a client that went for as long as it had to log in. */
const FORGOTTEN_MS = 4000;

/** Drives a real entry process over real sockets, while a good client goes on talking. */
export async function runAgainstEntry(options: EntryRunOptions): Promise<Findings> {
  const site = await EntrySite.start();
  try {
    return await new EntryRun(site, options, await captureHellos()).all();
  } finally {
    await site.stop();
  }
}

interface Job {
  name: string;
  port: number;
  /** Where the client connects from. */
  from: string;
  fuzz: FuzzCase;
  /** 0 and 1: end in order; 2: reset; 3: wait a little for the entry. */
  manner: number;
}

class EntryRun {
  readonly #site: EntrySite;
  readonly #options: EntryRunOptions;
  readonly #hellos: readonly Buffer[];
  readonly #found = noFindings();
  readonly #next: Record<Lane | "tls", number> = {
    frames: 0,
    websocket: 0,
    http: 0,
    first: 0,
    proxy: 0,
    tls: 0,
  };

  constructor(site: EntrySite, options: EntryRunOptions, hellos: readonly Buffer[]) {
    this.#site = site;
    this.#options = options;
    this.#hellos = hellos;
  }

  async all(): Promise<Findings> {
    const good = new GoodClient(await FrameClient.tcp(this.#site.plainPort));
    await good.start();
    try {
      await this.#until(this.#options.inputs * WARM_UP);
      await sleep(FORGOTTEN_MS);
      const before = await this.#site.sample();
      await this.#until(this.#options.inputs);
      await sleep(FORGOTTEN_MS);
      const after = await this.#site.sample();
      Object.assign(this.#found, growthMiB(before.memory, after.memory));
      this.#found.maxStallMs = Math.round(after.maxStallMs * 10) / 10;
      if (!(await good.isServed())) this.#crash("the good client is not served any more");
    } catch (error) {
      this.#crash(error instanceof Error ? error.message : String(error));
    } finally {
      good.stop();
    }
    const uncaught = this.#site.report()?.uncaught ?? [];
    this.#found.uncaught = uncaught.length;
    for (const text of uncaught) this.#fail(`uncaught: ${text}`);
    return this.#found;
  }

  async #until(inputs: number): Promise<void> {
    const jobs = this.#jobs(inputs);
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#work(jobs)));
  }

  async #work(jobs: Iterator<Job>): Promise<void> {
    for (let next = jobs.next(); !next.done; next = jobs.next()) {
      const { value: job } = next;
      if (this.#site.exit) throw new Error(`${job.name}: the entry ended: ${this.#site.logTail()}`);
      const outcome = await shoot(job);
      this.#found.inputs += job.fuzz.inputs;
      if (outcome.isStuck) this.#crash(`${job.name}: the entry did not let the connection go`);
      if (answers(outcome.text) > 1) this.#crash(`${job.name}: more than one answer on one connection`);
    }
  }

  /** Lanes in turn, each by its share, until there were `inputs` in all. */
  *#jobs(inputs: number): Generator<Job, undefined> {
    let planned = this.#found.inputs;
    while (planned < inputs && this.#found.failures.length < MAX_FAILURES) {
      for (const [lane, share] of Object.entries(SHARES) as [Lane | "tls", number][]) {
        for (let left = share; left > 0; ) {
          const job = this.#job(lane, this.#next[lane]++);
          left -= job.fuzz.inputs;
          planned += job.fuzz.inputs;
          yield job;
        }
      }
    }
    return undefined;
  }

  #job(lane: Lane | "tls", index: number): Job {
    const { seed } = this.#options;
    const isTls = lane === "tls";
    return {
      name: `SEED=${seed} ONLY=${lane}/${index}`,
      port: isTls ? this.#site.tlsPort : this.#site.plainPort,
      from: lane === "proxy" ? PROXY_ADDRESS : "127.0.0.1",
      fuzz: isTls ? helloCase(this.#hellos, seed, index) : caseOf(seed, lane, index),
      manner: index % 4,
    };
  }

  #crash(what: string): void {
    this.#found.crashes++;
    this.#fail(what);
  }

  #fail(what: string): void {
    if (this.#found.failures.length < MAX_FAILURES) this.#found.failures.push(`over sockets: ${what}`);
  }
}

/** One client: connects, writes, ends in its manner. `isStuck`: the entry left the connection open. */
async function shoot(job: Job): Promise<{ isStuck: boolean; text: string }> {
  const socket = connect({ port: job.port, host: "127.0.0.1", localAddress: job.from, noDelay: true });
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    if (text.length < KEPT_CHARS) text += chunk.toString("latin1");
  });
  // A reset is one way of being refused.
  socket.on("error", () => undefined);
  const closed = new Promise<true>((resolve) => socket.once("close", () => resolve(true)));
  for (const chunk of job.fuzz.chunks) socket.write(chunk);
  await written(socket);
  if (job.manner === 2) socket.resetAndDestroy();
  else if (job.manner < 2) socket.end();
  else await Promise.race([closed, sleep(LINGER_MS)]);
  if (job.manner === 3) socket.destroy();
  const timer = new AbortController();
  const isClosed = await Promise.race([closed, sleep(CLOSE_TIMEOUT_MS, false, timer)]).catch(() => true);
  timer.abort();
  socket.destroy();
  return { isStuck: !isClosed, text };
}

function written(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", () => resolve());
    socket.write("", () => resolve());
  });
}

/** Somebody who keeps to the protocol, all the time. */
class GoodClient {
  readonly #client: FrameClient;
  #timer: NodeJS.Timeout | undefined;
  #rid = 1;

  constructor(client: FrameClient) {
    this.#client = client;
  }

  async start(): Promise<void> {
    await this.#client.login("good");
    this.#timer = setInterval(() => this.#client.send(Command.PING, ++this.#rid), PING_EVERY_MS);
  }

  async isServed(): Promise<boolean> {
    if (this.#client.isClosed) return false;
    const answered = this.#client.ofCmd(Command.PONG).length;
    await this.#client.wait(Command.PONG, answered + 1);
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client.close();
  }
}
