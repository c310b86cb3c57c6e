// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { AttachReply, Disconnect } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind, type UplinkRecord } from "#proto/uplink/record.ts";
import type { EntryMetrics } from "../metrics.ts";
import type { EntryStats } from "../session/stats.ts";
import type { LogicAudience, LogicDirectory, LogicPort } from "../session/uplink-port.ts";
import { LeaseKeeper } from "./lease.ts";
import { type LinkOwner, LogicLink, type OpenStream } from "./link.ts";
import { LogicTargets, type Resolve } from "./targets.ts";

/** What the pool does not handle itself. */
export interface PoolOwner {
  /** Records about connections. */
  onRecord(link: LogicLink, record: UplinkRecord): void;
  /** A logic was attached. */
  onAttached(link: LogicLink): void;
  /** An attached logic is gone. */
  onLost(link: LogicLink): void;
  /** This incarnation was declared dead: nothing it does counts any more. */
  onFenced(reason: string): void;
}

/** Options of {@link UplinkPool}. */
export interface PoolOptions {
  targets: readonly string[];
  identity: { podUid: string; podName: string; version: string };
  open: OpenStream;
  resolve: Resolve;
  clock: Clock;
  log: Logger;
  stats: EntryStats;
  metrics: EntryMetrics;
  owner: PoolOwner;
}

const RECONNECT_BASE_MS = 100;
const RECONNECT_CAP_MS = 2000;

interface Target {
  readonly address: string;
  readonly backoff: Backoff;
  link: LogicLink | undefined;
  cancelRetry: (() => void) | undefined;
}

/** Streams to all logic pods. The first that attaches gives this process its incarnation; the others hear of it. */
export class UplinkPool implements LogicDirectory, LogicAudience, LinkOwner {
  readonly #options: PoolOptions;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #targets = new Map<string, Target>();
  readonly #resolver: LogicTargets;
  readonly #lease: LeaseKeeper;
  #wanted: ReadonlySet<string> = new Set();
  #incarnation = "";
  /** The one that was asked for an incarnation. */
  #firstAttach: LogicLink | undefined;
  #isClosed = false;
  #turn = 0;
  #attaches = 0;

  /** @throws {ImError} BAD_REQUEST on a bad target */
  constructor(options: PoolOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#lease = new LeaseKeeper(options.clock, options.log, () => this.#links());
    const { targets, resolve, clock, log } = options;
    this.#resolver = new LogicTargets({ targets, resolve, clock, log, onChange: (all) => this.#onTargets(all) });
  }

  /** Empty until the first attach. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** Logic pods attached. */
  get attached(): number {
    let count = 0;
    for (const link of this.#links()) if (link.isAttached) count++;
    return count;
  }

  get attaches(): number {
    return this.#attaches;
  }

  get queueBytes(): number {
    let bytes = 0;
    for (const link of this.#links()) bytes += link.queueBytes;
    return bytes;
  }

  start(): void {
    this.#resolver.start();
  }

  /** Ends all streams. */
  close(): void {
    this.#isClosed = true;
    this.#resolver.close();
    this.#lease.stop();
    for (const target of this.#targets.values()) {
      target.cancelRetry?.();
      target.link?.close();
    }
  }

  choose(): LogicPort | undefined {
    const usable = this.#links().filter((link) => link.isUsable);
    if (usable.length === 0) return undefined;
    // Equals take turns.
    this.#turn = (this.#turn + 1) % usable.length;
    let best = usable[this.#turn] as LogicLink;
    for (const link of usable) if (link.load < best.load) best = link;
    return best;
  }

  tellAll(record: RecordInput): void {
    for (const { link } of this.#targets.values()) if (link?.isAttached) link.send(record);
  }

  /** For /debug. */
  describe(): object[] {
    return this.#links().map((link) => ({
      name: link.name,
      address: link.address,
      isUsable: link.isUsable,
      load: link.load,
      queueBytes: link.queueBytes,
    }));
  }

  #links(): LogicLink[] {
    const links: LogicLink[] = [];
    for (const { link } of this.#targets.values()) if (link) links.push(link);
    return links;
  }

  #onTargets(all: ReadonlySet<string>): void {
    this.#wanted = all;
    for (const address of all) {
      if (this.#targets.has(address)) continue;
      const backoff = new Backoff({ baseMs: RECONNECT_BASE_MS, capMs: RECONNECT_CAP_MS });
      const target: Target = { address, backoff, link: undefined, cancelRetry: undefined };
      this.#targets.set(address, target);
      this.#connect(target);
    }
    // An address that went away keeps its stream while that lives: DNS drops a pod before the pod is gone.
    for (const target of this.#targets.values()) {
      if (all.has(target.address) || target.link) continue;
      target.cancelRetry?.();
      this.#targets.delete(target.address);
    }
  }

  #connect(target: Target): void {
    target.cancelRetry = undefined;
    const { open, clock, stats } = this.#options;
    target.link = new LogicLink({ address: target.address, open, owner: this, clock, stats });
  }

  onConnected(link: LogicLink): void {
    if (this.#incarnation === "" && this.#firstAttach) return;
    if (this.#incarnation === "") this.#firstAttach = link;
    link.attach({ ...this.#options.identity, incarnation: this.#incarnation });
  }

  onRecord(link: LogicLink, record: UplinkRecord): void {
    switch (record.kind) {
      case RecordKind.ATTACHED:
        this.#onAttached(link, AttachReply.decode(record.body));
        return;
      case RecordKind.LEASED:
        this.#lease.onLeased(record.rid);
        return;
      case RecordKind.FENCED:
        this.#options.owner.onFenced(Disconnect.decode(record.body).reason);
        return;
      case RecordKind.LEAVING:
        this.#log.info({ logic: link.name }, "logic is leaving");
        link.leaving();
        return;
      default:
        this.#options.owner.onRecord(link, record);
    }
  }

  #onAttached(link: LogicLink, reply: AttachReply): void {
    if (this.#incarnation === "") this.#incarnation = reply.incarnation;
    if (reply.incarnation !== this.#incarnation || reply.incarnation === "")
      throw new ImError(ErrorCode.INTERNAL, `attached as ${reply.incarnation}, not as ${this.#incarnation}`);
    link.attached(reply.logicName);
    this.#attaches++;
    this.#targets.get(link.address)?.backoff.reset();
    this.#log.info({ logic: link.name, address: link.address, incarnation: this.#incarnation }, "logic attached");
    this.#lease.start(reply.leaseIntervalMs);
    this.#attachWaiting();
    this.#options.owner.onAttached(link);
  }

  #attachWaiting(): void {
    for (const link of this.#links()) if (link.isWaitingToAttach) this.onConnected(link);
  }

  onClosed(link: LogicLink, error: Error | undefined): void {
    const target = this.#targets.get(link.address);
    if (target) target.link = undefined;
    if (this.#isClosed) return;
    if (this.#firstAttach === link) {
      this.#firstAttach = undefined;
      this.#attachWaiting();
    }
    if (link.wasAttached) {
      this.#log.warn({ logic: link.name, address: link.address, err: error }, "logic lost");
      this.#options.metrics.uplinkLost();
      this.#options.owner.onLost(link);
    } else {
      this.#log.debug({ address: link.address, err: error }, "logic not reachable");
    }
    if (!target) return;
    if (this.#wanted.has(target.address)) {
      target.cancelRetry = this.#clock.after(target.backoff.next(), () => this.#connect(target));
    } else {
      this.#targets.delete(target.address);
    }
  }
}
