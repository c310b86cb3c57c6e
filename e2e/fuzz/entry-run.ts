// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeRequest } from "./carrier.ts";
import { Depth, isDeep } from "./depth.ts";
import { EntrySite, issueFleetTls, PROXY_ADDRESS } from "./entry-site.ts";
import { GoodClient } from "./good-client.ts";
import { captureHellos, helloCase } from "./hellos.ts";
import {
  answers,
  carrierCaseOf,
  carrierOpening,
  caseOf,
  type Findings,
  leasesIn,
  MAX_FAILURES,
  noFindings,
  type SocketLane,
} from "./lanes.ts";
import { LeaseForge } from "./leases.ts";
import { growthMiB } from "./memory-now.ts";
import type { ProbeReport } from "./probe.ts";
import { mannerOf, RawClient, shoot } from "./shoot.ts";

/** Options of {@link runAgainstEntry}. */
export interface EntryRunOptions {
  seed: number;
  /** Mutated inputs in all. */
  inputs: number;
}

/** Of a hundred inputs, so many come from each lane. */
const SHARES: Readonly<Record<SocketLane, number>> = {
  frames: 38,
  websocket: 20,
  json: 6,
  http: 11,
  carrier: 10,
  first: 3,
  proxy: 4,
  tls: 8,
};
/** Of the inputs: afterwards every lane has been everywhere, and what is in use stays the same. */
const WARM_UP = 0.1;
/** Of the inputs: afterwards V8 and malloc have kept the pages of their peaks, and resident memory stays the same. */
const SETTLED = 0.4;
/** Clients at a time: enough to overlap, too few to fill a turn of the event loop by their number. */
const CLIENTS = 16;
/** Between two requests of one socket: an answer must be there, or the next one is cut off. */
const REQUEST_PAUSE_MS = 3;
/** From here on the depth of each lane counts. */
const FULL_INPUTS = 50_000;
const STATUS = /^HTTP\/1\.1 (\d{3}) /;
const OPEN_TIMEOUT_MS = 20_000;
const UNMAPPED_MS = 2000;
const PING_INTERVAL_MS = 1000;
/** The entries hold sessions of clients that went without a word for two ping intervals and a tick. */
const FORGOTTEN_MS = 5000;

/** Drives two real entry processes over real sockets, while good clients go on talking. */
export async function runAgainstEntry(options: EntryRunOptions): Promise<Findings> {
  const dir = mkdtempSync(join(tmpdir(), "im-fuzz-tls-"));
  const sites: EntrySite[] = [];
  try {
    const tls = await issueFleetTls(dir);
    sites.push(await EntrySite.start(tls));
    sites.push(await EntrySite.start(tls));
    return await new EntryRun(sites, tls.secret, options, await captureHellos()).all();
  } finally {
    await Promise.all(sites.map((site) => site.stop()));
    rmSync(dir, { recursive: true });
  }
}

interface Job {
  lane: SocketLane;
  index: number;
  inputs: number;
  /** Undefined: known when a session is open. */
  chunks?: readonly Buffer[];
  loginChunks?: number;
}

interface Outcome {
  isStuck: boolean;
  text: string;
}

class EntryRun {
  /** The first gets everything; the second requests of sessions that the first holds, and the other way round. */
  readonly #sites: readonly EntrySite[];
  readonly #secret: Uint8Array;
  readonly #options: EntryRunOptions;
  readonly #hellos: readonly Buffer[];
  readonly #depth = new Depth();
  readonly #found = noFindings();
  readonly #next = new Map<SocketLane, number>();

  constructor(sites: readonly EntrySite[], secret: Uint8Array, options: EntryRunOptions, hellos: readonly Buffer[]) {
    this.#sites = sites;
    this.#secret = secret;
    this.#options = options;
    this.#hellos = hellos;
  }

  async all(): Promise<Findings> {
    // Good clients may be late on a busy machine; the others go without a word.
    const good = await Promise.all(this.#sites.map((site) => GoodClient.start(site.plainPort)));
    for (const site of this.#sites) site.expectPings(PING_INTERVAL_MS);
    try {
      // How they start is nobody's stall.
      await Promise.all(this.#sites.map((site) => site.sample()));
      await this.#until(this.#options.inputs * WARM_UP);
      const warm = await this.#samples();
      await this.#until(this.#options.inputs * SETTLED);
      const settled = await this.#samples();
      await this.#until(this.#options.inputs);
      this.#judge(warm, settled, await this.#samples());
      for (const client of good) if (!(await client.isServed())) this.#crash("the good client is not served any more");
    } catch (error) {
      this.#crash(error instanceof Error ? error.message : String(error));
    } finally {
      for (const client of good) client.stop();
    }
    const uncaught = this.#sites.flatMap((site) => site.report()?.uncaught ?? []);
    this.#found.uncaught = uncaught.length;
    for (const text of uncaught) this.#fail(`uncaught: ${text}`);
    this.#found.deep = this.#depth.shares();
    // In a short run on a busy machine, answers may be late for the clients that read; behind a PROXY header none waits.
    if (this.#options.inputs >= FULL_INPUTS) for (const text of this.#depth.shallow(["proxy"])) this.#fail(text);
    return this.#found;
  }

  async #samples(): Promise<ProbeReport[]> {
    await sleep(FORGOTTEN_MS);
    const first = await Promise.all(this.#sites.map((site) => site.sample()));
    // V8 unmaps what it freed in the background.
    await sleep(UNMAPPED_MS);
    const second = await Promise.all(this.#sites.map((site) => site.sample()));
    return second.map((report, i) => ({
      ...report,
      maxStallMs: Math.max(report.maxStallMs, first[i]?.maxStallMs ?? 0),
    }));
  }

  /** The worst of each entry, warm-up included where it is about stalls. */
  #judge(warm: readonly ProbeReport[], settled: readonly ProbeReport[], end: readonly ProbeReport[]): void {
    const stalls = [...warm, ...settled, ...end].map((report) => report.maxStallMs);
    this.#found.maxStallMs = Math.round(Math.max(...stalls) * 10) / 10;
    for (const [index, { memory }] of end.entries()) {
      const { liveGrowthMiB } = growthMiB(warm[index]?.memory ?? memory, memory);
      const { rssGrowthMiB } = growthMiB(settled[index]?.memory ?? memory, memory);
      this.#found.liveGrowthMiB = Math.max(this.#found.liveGrowthMiB, liveGrowthMiB);
      this.#found.rssGrowthMiB = Math.max(this.#found.rssGrowthMiB, rssGrowthMiB);
    }
  }

  async #until(inputs: number): Promise<void> {
    const jobs = this.#jobs(inputs);
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#work(jobs)));
  }

  async #work(jobs: Iterator<Job>): Promise<void> {
    for (let next = jobs.next(); !next.done; next = jobs.next()) {
      const { lane, index, inputs, chunks, loginChunks = 0 } = next.value;
      const name = `SEED=${this.#options.seed} ONLY=${lane}/${index}`;
      const ended = this.#sites.find((site) => site.exit);
      if (ended) throw new Error(`${name}: the entry ended: ${ended.logTail()}`);
      const { isStuck, text } = chunks
        ? await this.#shoot(lane, index, chunks, loginChunks)
        : await this.#request(index);
      if (mannerOf(index) === "read") this.#depth.add(lane, text);
      if (isStuck) this.#crash(`${name}: the entry did not let the connection go`);
      if (answers(text) > (chunks ? 1 : inputs)) this.#crash(`${name}: more than one answer on one connection`);
    }
  }

  /** Lanes in turn, each by its share, until there were `inputs` in all. */
  *#jobs(inputs: number): Generator<Job, undefined> {
    while (this.#found.inputs < inputs && this.#found.failures.length < MAX_FAILURES) {
      for (const [lane, share] of Object.entries(SHARES) as [SocketLane, number][]) {
        for (let left = share; left > 0; ) {
          const index = this.#next.get(lane) ?? 0;
          this.#next.set(lane, index + 1);
          const job = this.#job(lane, index);
          left -= job.inputs;
          this.#found.inputs += job.inputs;
          yield job;
        }
      }
    }
    return undefined;
  }

  #job(lane: SocketLane, index: number): Job {
    const { seed } = this.#options;
    if (lane === "carrier") return { lane, index, inputs: carrierOpening(seed, index).requests };
    return { lane, index, ...(lane === "tls" ? helloCase(this.#hellos, seed, index) : caseOf(seed, lane, index)) };
  }

  #shoot(lane: SocketLane, index: number, chunks: readonly Buffer[], loginChunks: number): Promise<Outcome> {
    const [first] = this.#sites;
    return shoot({
      port: (lane === "tls" ? first?.tlsPort : first?.plainPort) ?? 0,
      from: lane === "proxy" ? PROXY_ADDRESS : "127.0.0.1",
      chunks,
      manner: mannerOf(index),
      pauseMs: 0,
      login: { chunks: loginChunks, isDone: (text) => isDeep(lane, text) },
    });
  }

  /** Requests beside a session over HTTP; of those with an odd number, at the entry that does not hold it. */
  async #request(index: number): Promise<Outcome> {
    const { seed } = this.#options;
    const ports = this.#sites.map((site) => site.plainPort);
    const holderPort = ports[(index >> 1) % ports.length] ?? 0;
    const port = ports[((index >> 1) + index) % ports.length] ?? 0;
    const holder = new RawClient(holderPort);
    holder.socket.write(carrierOpening(seed, index).request);
    const own = await holder.find((text) => leasesIn(text)[0], OPEN_TIMEOUT_MS);
    if (own === undefined) throw new Error(`carrier/${index}: a good client got no session: ${holder.text}`);
    const forge = new LeaseForge({ secret: this.#secret, wallMs: Date.now(), own, hasNetwork: true });
    const { chunks } = carrierCaseOf(seed, index, forge);
    const outcome = await shoot({
      port,
      from: "127.0.0.1",
      chunks,
      manner: mannerOf(index),
      pauseMs: REQUEST_PAUSE_MS,
    });
    // Others may name an entry that there is not.
    for (const lease of leasesIn(outcome.text)) await this.#close(port, lease);
    const status = await this.#close(port, own);
    if (status !== "204") this.#crash(`carrier/${index}: a good client could not end its session: ${status}`);
    holder.socket.destroy();
    return outcome;
  }

  /** Ends a session; returns the status. */
  async #close(port: number, lease: string): Promise<string> {
    const client = new RawClient(port);
    client.socket.write(closeRequest(lease));
    const status = await client.find((text) => STATUS.exec(text)?.[1], OPEN_TIMEOUT_MS);
    client.socket.destroy();
    return status ?? "none";
  }

  #crash(what: string): void {
    this.#found.crashes++;
    this.#fail(what);
  }

  #fail(what: string): void {
    if (this.#found.failures.length < MAX_FAILURES) this.#found.failures.push(`over sockets: ${what}`);
  }
}
