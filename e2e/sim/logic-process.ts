// SPDX-License-Identifier: Apache-2.0
import type { ServerUplink } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import { composeLogic, type LogicCore } from "../../logic/compose.ts";
import { RedisAckWheel } from "../../logic/deliver/ack-wheel-redis.ts";
import { HealthPoll } from "../../logic/health.ts";
import { RedisIntents } from "../../logic/push/intent.ts";
import { RedisRouter } from "../../logic/router/redis.ts";
import { Proc } from "./kernel.ts";
import type { Wire } from "./network.ts";
import { redisClientOf } from "./redis/client.ts";
import { askOnly } from "./shards.ts";
import { verifySimToken } from "./tokens.ts";
import { METRICS, type World } from "./world.ts";

export const LEASE_TTL_MS = 15_000;
export const PING_INTERVAL_MS = 30_000;
/** An online device that has not acknowledged for so long is pushed to. */
export const ACK_TIMEOUT_MS = 5000;
/** Bytes that may wait on a stream before its writer must wait. */
export const STREAM_HIGH_WATER = 512 * 1024;

/** One logic process after the other under one name, as a Deployment keeps it. */
export class LogicProcess {
  readonly name: string;
  readonly #world: World;
  #proc: Proc;
  #core: LogicCore | undefined;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#proc = new Proc(name);
  }

  get proc(): Proc {
    return this.#proc;
  }

  get core(): LogicCore | undefined {
    return this.isUp ? this.#core : undefined;
  }

  get isUp(): boolean {
    return !this.#proc.isDead && this.#core !== undefined;
  }

  start(): void {
    const world = this.#world;
    const { kernel, calls, servers } = world;
    const proc = new Proc(this.name);
    this.#proc = proc;
    kernel.after(0, proc, () => {
      const clock = kernel.clockOf(proc);
      const redis = redisClientOf(calls, proc, servers.redis, world.redis);
      this.#core = composeLogic({
        store: world.storeFor(proc),
        router: new RedisRouter(redis, { clock, leaseTtlMs: LEASE_TTL_MS }),
        intents: new RedisIntents(redis),
        wheel: askOnly(new RedisAckWheel(redis), world.shards),
        ackTimeoutMs: ACK_TIMEOUT_MS,
        tokens: { verify: (token) => verifySimToken(world, token) },
        name: this.name,
        leaseTtlMs: LEASE_TTL_MS,
        pingIntervalMs: PING_INTERVAL_MS,
        gap: { maxEvents: 10_000, maxAgeMs: 90 * 86_400_000 },
        clock,
        random: kernel.random.next,
        defer: kernel.defer,
        onFault: () => undefined,
        log: silentLogger,
        metrics: METRICS.logic,
      });
      void this.#core.start();
      // It finds nothing but another epoch.
      if (world.hasRestore) void new HealthPoll(this.#core.ping, clock).start();
    });
  }

  /** SIGKILL. */
  kill(why: string): void {
    if (this.#proc.isDead) return;
    this.#proc.isDead = true;
    this.#core = undefined;
    this.#world.note(this.name, `killed: ${why}`);
    this.#world.network.died(this.#proc);
  }

  /** A stream of an entry was accepted; runs in this process. */
  accept(wire: Wire<Buffer>): void {
    const core = this.#core;
    if (!core) return;
    let onBatch = (_batch: Buffer): void => undefined;
    let onClose = (_error?: Error): void => undefined;
    let onDrain = (): void => undefined;
    const uplink: ServerUplink = {
      peer: wire.a.name,
      write: (batch) => wire.send(1, batch, STREAM_HIGH_WATER),
      onDrain: (fn) => {
        onDrain = fn;
      },
      onBatch: (fn) => {
        onBatch = fn;
      },
      onClose: (fn) => {
        onClose = fn;
      },
      close: () => {
        if (wire.isClosed(1)) return;
        wire.close(1);
        onClose();
      },
    };
    wire.attach(1, {
      onMessage: (batch) => {
        try {
          onBatch(batch);
        } catch (error) {
          this.#world.kernel.breach(`${this.name} refused a batch: ${String(error)}`);
          wire.close(1);
          onClose(error instanceof Error ? error : undefined);
        }
      },
      onClose: (error) => onClose(error),
      onDrain: () => onDrain(),
    });
    core.server.accept(uplink);
  }
}
