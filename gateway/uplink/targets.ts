// SPDX-License-Identifier: Apache-2.0
import { lookup } from "node:dns/promises";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

/** All IPv4 addresses of a host. @throws when it cannot be resolved */
export type Resolve = (host: string) => Promise<string[]>;

/** By getaddrinfo, so that the search domains of the pod count. */
export const resolveHost: Resolve = async (host) => {
  const found = await lookup(host, { all: true, family: 4 });
  return found.map(({ address }) => address);
};

const RESOLVE_INTERVAL_MS = 2000;

interface DnsTarget {
  host: string;
  port: number;
  addresses: readonly string[];
}

/** Options of {@link LogicTargets}. */
export interface TargetOptions {
  /** `host:port`, or `dns:host:port` = every address that host has now. */
  targets: readonly string[];
  resolve: Resolve;
  clock: Clock;
  log: Logger;
  /** All addresses (`host:port`), at the start and whenever they changed. */
  onChange(addresses: ReadonlySet<string>): void;
}

/** Keeps the addresses of all logic pods current. A lookup that fails keeps what was known. */
export class LogicTargets {
  readonly #options: TargetOptions;
  readonly #static: string[] = [];
  readonly #dns: DnsTarget[] = [];
  #isClosed = false;
  #cancel: (() => void) | undefined;

  /** @throws {ImError} BAD_REQUEST on a target that is neither form */
  constructor(options: TargetOptions) {
    this.#options = options;
    for (const target of options.targets) {
      const match = /^(dns:)?([^:\s]+):(\d{1,5})$/.exec(target);
      if (!match?.[2]) throw new ImError(ErrorCode.BAD_REQUEST, `not host:port or dns:host:port: ${target}`);
      if (match[1]) this.#dns.push({ host: match[2], port: Number(match[3]), addresses: [] });
      else this.#static.push(target);
    }
  }

  start(): void {
    this.#publish();
    if (this.#dns.length > 0) void this.#poll();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  async #poll(): Promise<void> {
    const changes = await Promise.all(this.#dns.map((target) => this.#resolveOne(target)));
    if (this.#isClosed) return;
    if (changes.includes(true)) this.#publish();
    this.#cancel = this.#options.clock.after(RESOLVE_INTERVAL_MS, () => void this.#poll());
  }

  /** True when the addresses changed. */
  async #resolveOne(target: DnsTarget): Promise<boolean> {
    try {
      const addresses = (await this.#options.resolve(target.host)).sort();
      if (addresses.length === 0 || addresses.join() === target.addresses.join()) return false;
      target.addresses = addresses;
      return true;
    } catch (thrown) {
      this.#options.log.debug({ host: target.host, err: toImError(thrown) }, "cannot resolve logic");
      return false;
    }
  }

  #publish(): void {
    const all = new Set(this.#static);
    for (const { addresses, port } of this.#dns) for (const address of addresses) all.add(`${address}:${port}`);
    this.#options.onChange(all);
  }
}
