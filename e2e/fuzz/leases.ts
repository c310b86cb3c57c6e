// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { LEASE_MS, type Lease, LeaseSigner } from "../../gateway/http/lease.ts";
import type { Random } from "../sim/random.ts";
import { mutate, randomBytes } from "./input.ts";

/** Entries that listen nowhere, and texts that are no address. */
const NOWHERE = ["127.0.0.1:1", "", ":", "127.0.0.1:99999", "[::1]:1", "127.0.0.1", "\u0000", "a".repeat(64)];
const KINDS = { own: 72, changed: 8, late: 4, conn: 4, nonce: 4, address: 2, stranger: 4, garbage: 2 } as const;

/** What a {@link LeaseForge} knows of the entries. */
export interface ForgeOptions {
  /** From which the entries derive the key of their leases: only we and they know it. */
  secret: Uint8Array;
  /** Wall clock of the entries. */
  wallMs: number;
  /** The lease that an entry gave to the session. */
  own: string;
  /** False: none that names another entry, where there is no network. */
  hasNetwork: boolean;
}

/** Makes leases for one session: its own, altered ones, and well signed ones that lie. */
export class LeaseForge {
  readonly own: string;
  readonly #options: ForgeOptions;
  readonly #signer: LeaseSigner;
  readonly #lease: Lease;

  /** @throws Error when the entry's lease is none: secret, clock or entry are wrong */
  constructor(options: ForgeOptions) {
    this.own = options.own;
    this.#options = options;
    this.#signer = new LeaseSigner(options.secret);
    const lease = this.#signer.verify(options.own, options.wallMs);
    if (!lease) throw new Error("the lease of a good client is none");
    this.#lease = lease;
  }

  /** The header's value, mostly of our own session. */
  text(random: Random): string {
    const { wallMs, hasNetwork } = this.#options;
    const lease = this.#lease;
    switch (random.weighted(KINDS)) {
      case "own":
        return this.own;
      case "changed":
        return changed(this.own, random);
      case "late":
        return this.#sign({ deadlineMs: wallMs - random.int(1, 2 * LEASE_MS) });
      case "conn":
        return this.#sign({ conn: random.pick([0, 1, lease.conn + 1, 0xffff_ffff]) });
      case "nonce":
        return this.#sign({ nonce: randomBytes(random, 8).toString("hex") });
      case "address":
        return this.#sign(hasNetwork ? { address: random.pick(NOWHERE) } : { deadlineMs: 0 });
      case "stranger":
        return new LeaseSigner(randomBytes(random, 32)).sign(lease);
      case "garbage":
        return random.pick(["", "AAAA", "=".repeat(20), "a".repeat(200), "\u00ff", this.own.repeat(2)]);
    }
  }

  #sign(rest: Partial<Lease>): string {
    return this.#signer.sign({ ...this.#lease, ...rest });
  }
}

/** Another text, or other bytes behind the text. */
function changed(text: string, random: Random): string {
  if (random.chance(0.5)) return mutate(Buffer.from(text, "base64url"), random).toString("base64url").slice(0, 4000);
  const at = random.int(0, text.length - 1);
  return text.slice(0, at) + random.pick(["A", "-", "_", "=", ".", " ", ""]) + text.slice(at + 1);
}
