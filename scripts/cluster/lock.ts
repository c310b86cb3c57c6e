// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { resolve } from "node:path";
import { ClusterFault } from "./fault.ts";

/** Options of {@link withLock}. */
export interface LockOptions {
  /** Give up after this long; default 30 min, about twice the longest build. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  /** Called when another process holds the lock, each time one is waited for. */
  onWait?: (holderPid: number) => void;
}

interface HeldLock {
  server: Server;
  waiters: Set<Socket>;
}

/** An abstract socket: the kernel frees the name when the holder ends, however it ends, so no lock is ever stale. */
function socketName(path: string): string {
  return `\0imcluster-${createHash("sha256").update(resolve(path)).digest("hex").slice(0, 40)}`;
}

async function tryAcquire(name: string): Promise<HeldLock | undefined> {
  const waiters = new Set<Socket>();
  const server = createServer((socket) => {
    waiters.add(socket);
    socket.on("error", () => waiters.delete(socket));
    socket.on("close", () => waiters.delete(socket));
    socket.write(`${process.pid}\n`);
  });
  server.listen(name);
  try {
    await once(server, "listening");
    return { server, waiters };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return undefined;
    throw error;
  }
}

/** Resolves when the holder lets go or ends; rejects when `signal` aborts. */
async function waitForRelease(name: string, signal: AbortSignal, onWait: LockOptions["onWait"]): Promise<void> {
  const socket = connect(name);
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  await new Promise<void>((done) => {
    socket.once("data", (data) => onWait?.(Number.parseInt(data.toString(), 10)));
    socket.on("error", () => done());
    socket.on("close", () => done());
  });
  signal.removeEventListener("abort", onAbort);
  signal.throwIfAborted();
}

async function release({ server, waiters }: HeldLock): Promise<void> {
  const closed = once(server, "close");
  server.close();
  for (const socket of waiters) socket.destroy();
  await closed;
}

/**
 * Runs `work` while no other process on this machine runs work under the same `path` (which need not exist).
 * Not re-entrant. Throws {@link ClusterFault} when the lock stays taken past `timeoutMs`.
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const name = socketName(path);
  const expiry = AbortSignal.timeout(options.timeoutMs ?? 30 * 60_000);
  const signal = options.signal ? AbortSignal.any([options.signal, expiry]) : expiry;
  let held = await tryAcquire(name);
  try {
    while (!held) {
      await waitForRelease(name, signal, options.onWait);
      held = await tryAcquire(name);
    }
  } catch (error) {
    if (!expiry.aborted) throw error;
    throw new ClusterFault(
      `another run has held ${path} for too long`,
      "Look at what it does, or end it, then start again.",
    );
  }
  try {
    return await work();
  } finally {
    await release(held);
  }
}
