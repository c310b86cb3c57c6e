// SPDX-License-Identifier: Apache-2.0
import { KeyedPaces } from "../session/keyed-paces.ts";
import type { Pace } from "../session/pace.ts";

/** Failed logins that were under way together run up no more than this: others behind the address want to log in, too. */
const MAX_LOGINS_OVERDUE_MS = 10_000;

/** What one address may do; undefined: any amount. */
export interface AddressRates {
  /** New connections. */
  connections: Pace | undefined;
  /** Connections at a time. */
  maxOpen: number | undefined;
  /** Logins that were refused for their token. */
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
export class AddressLimits {
  readonly #rates: AddressRates;
  readonly #connections: KeyedPaces | undefined;
  readonly #failedLogins: KeyedPaces | undefined;
  /** By key; only those that have any. */
  readonly #open = new Map<string, number>();

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
    this.#open.set(key, open + 1);
    return undefined;
  }

  closed(key: string): void {
    const open = this.#open.get(key) ?? 0;
    if (open > 1) this.#open.set(key, open - 1);
    else this.#open.delete(key);
  }

  /**
   * Ms until this address may try to log in again; 0: now. Only an address that has an open connection here is a client's:
   * others are of peers that may hide everybody, which nobody counts.
   */
  loginWaitMs(address: string, nowMs: number): number {
    const key = addressKey(address);
    return (this.#open.has(key) && this.#failedLogins?.waitMs(key, nowMs)) || 0;
  }

  /** Counts it, for an address of which {@link loginWaitMs} would. */
  loginFailed(address: string, nowMs: number): void {
    const key = addressKey(address);
    if (this.#open.has(key)) this.#failedLogins?.count(key, nowMs, MAX_LOGINS_OVERDUE_MS);
  }
}
