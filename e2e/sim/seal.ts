// SPDX-License-Identifier: Apache-2.0
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import type { Kernel } from "./kernel.ts";

type Callback = (...args: unknown[]) => void;

/** What setTimeout returns here. */
class SimTimer {
  readonly cancel: () => void;

  constructor(cancel: () => void) {
    this.cancel = cancel;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

/**
 * Takes time, chance and the network out of the hands of whatever runs until the returned function is called: timers
 * and deferred work go through the kernel, random bytes come from its seed, and real clocks and sockets are breaches.
 */
export function seal(kernel: Kernel): () => void {
  const undo: (() => void)[] = [];
  const replace = <T extends object, K extends keyof T>(target: T, key: K, value: T[K]): void => {
    const old = target[key];
    target[key] = value;
    undo.push(() => {
      target[key] = old;
    });
  };
  const after = (delayMs: number, fn: Callback, args: unknown[]): SimTimer =>
    new SimTimer(kernel.after(delayMs, kernel.current, () => fn(...args)));
  const cancel = (timer: unknown): void => (timer instanceof SimTimer ? timer.cancel() : undefined);
  const globals = globalThis as unknown as Record<string, unknown>;
  replace(globals, "setTimeout", (fn: Callback, delayMs = 0, ...args: unknown[]) => after(delayMs, fn, args));
  replace(globals, "setImmediate", (fn: Callback, ...args: unknown[]) => after(0, fn, args));
  replace(globals, "clearTimeout", cancel);
  replace(globals, "clearImmediate", cancel);
  replace(globals, "clearInterval", cancel);
  replace(globals, "setInterval", () => {
    kernel.breach("setInterval: repeat with a clock instead");
    return new SimTimer(() => undefined);
  });
  replace(Date, "now", () => {
    // A server of the simulation, such as the database, has a clock of its own.
    if (kernel.current === undefined) return kernel.wallMs;
    kernel.breach(`Date.now: ${callSite()}`);
    return kernel.wallMs;
  });
  replace(performance, "now", () => {
    kernel.breach(`performance.now: ${callSite()}`);
    return kernel.nowMs;
  });
  replace(Math, "random", kernel.random.next);
  replace(net.Socket.prototype, "connect", () => {
    kernel.breach("a real socket");
    throw new Error("no real socket in a simulation");
  });
  replace(net.Server.prototype, "listen", () => {
    kernel.breach("a real listener");
    throw new Error("no real listener in a simulation");
  });
  sealChance(kernel, replace);
  syncBuiltinESMExports();
  return () => {
    for (const step of undo.reverse()) step();
    syncBuiltinESMExports();
  };
}

/** Who called what was replaced. */
function callSite(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 4;
  const line = new Error("called here").stack?.split("\n")[3];
  Error.stackTraceLimit = stackTraceLimit;
  return line?.trim() ?? "unknown";
}

type Replace = <T extends object, K extends keyof T>(target: T, key: K, value: T[K]) => void;

function sealChance(kernel: Kernel, replace: Replace): void {
  const fill = <T extends ArrayBufferView>(view: T): T => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let at = 0; at < bytes.length; at++) bytes[at] = Math.floor(kernel.random.next() * 256);
    return view;
  };
  const hex = (digits: number): string =>
    Math.floor(kernel.random.next() * 16 ** digits)
      .toString(16)
      .padStart(digits, "0");
  const builtin = crypto as unknown as Record<string, unknown>;
  replace(builtin, "randomUUID", () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(8)}${hex(4)}`);
  replace(builtin, "randomFillSync", fill);
  replace(builtin, "randomBytes", (size: number) => fill(Buffer.alloc(size)));
  const web = globalThis.crypto as unknown as Record<string, unknown>;
  replace(web, "getRandomValues", fill);
}
