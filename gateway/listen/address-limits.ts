// SPDX-License-Identifier: Apache-2.0
import { type LoginTries, type LoginTry, UNCOUNTED_LOGIN } from "../session/client-limits.ts";
import { KeyedPaces } from "../session/keyed-paces.ts";
import type { Pace } from "../session/pace.ts";

/** What one address may do; undefined: any amount. */
export interface AddressRates {
  /** New connections. */
  connections: Pace | undefined;
  /** Connections at a time. */
  maxOpen: number | undefined;
  /** Logins that were refused for their token; those under way might be, and count like them. */
  failedLogins: Pace | undefined;
}

/** The unit that one household or attacker gets: an IPv4 address, or the /64 of an IPv6 address. */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

/** Limits per client address. Bounded: by the sockets that are open, and by the tables of {@link KeyedPaces}. */
export class AddressLimits implements LoginTries {
  readonly #rates: AddressRates;
  readonly #connections: KeyedPaces | undefined;
  readonly #failedLogins: KeyedPaces | undefined;
  /** By key; only those that have any. */
  readonly #open = new Map<string, number>();
  /** Logins by key; only those that have any. */
  readonly #underWay = new Map<string, number>();

  constructor(rates: AddressRates) {
    this.#rates = rates;
    this.#connections = rates.connections && new KeyedPaces(rates.connections);
    this.#failedLogins = rates.failedLogins && new KeyedPaces(rates.failedLogins);
  }

  /** Addresses that have a connection. */
  get addresses(): number {
    return this.#open.size;
  }

  /** A connection came: counts it, or says why not. {@link closed} must follow each that was counted. */
  opened(key: string, nowMs: number): "address_open" | "address_rate" | undefined {
    const open = this.#open.get(key) ?? 0;
    if (this.#rates.maxOpen !== undefined && open >= this.#rates.maxOpen) return "address_open";
    if (this.#connections && this.#connections.take(key, nowMs) > 0) return "address_rate";
    add(this.#open, key, 1);
    return undefined;
  }

  closed(key: string): void {
    add(this.#open, key, -1);
  }

  /** Logins that are under way and counted. */
  get loginsUnderWay(): number {
    let count = 0;
    for (const underWay of this.#underWay.values()) count += underWay;
    return count;
  }

  /**
   * A login begins, which may fail: or ms until this address may try again. Only an address that has an open connection here
   * is a client's: others are of peers that may hide everybody, which nobody counts.
   */
  beginLogin(address: string, nowMs: number): LoginTry | number {
    const key = addressKey(address);
    const paces = this.#failedLogins;
    if (!paces || !this.#open.has(key)) return UNCOUNTED_LOGIN;
    const waitMs = paces.waitMs(key, nowMs, (this.#underWay.get(key) ?? 0) + 1);
    if (waitMs > 0) return waitMs;
    add(this.#underWay, key, 1);
    return {
      end: (isRefused, endedMs) => {
        add(this.#underWay, key, -1);
        if (isRefused) paces.count(key, endedMs);
      },
    };
  }
}

/** Keys that come to 0 are dropped. */
function add(counts: Map<string, number>, key: string, count: number): void {
  const sum = (counts.get(key) ?? 0) + count;
  if (sum > 0) counts.set(key, sum);
  else counts.delete(key);
}
