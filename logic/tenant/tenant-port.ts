// SPDX-License-Identifier: Apache-2.0
import { TENANT_SEPARATOR, tenantOf } from "#lib/tenant.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { EntryPort } from "../session/session.ts";
import { DOWN_PLANS, rewriteIds, UP_PLANS } from "./wire-ids.ts";

/** The stream of its entry, as a session of this user has it. In the default tenant it is the stream itself, and costs nothing. */
export function portOf(entry: EntryPort, userId: string): EntryPort {
  const tenant = tenantOf(userId);
  if (tenant === "") return entry;
  const known = portsOf.get(entry) ?? new Map<string, TenantPort>();
  portsOf.set(entry, known);
  const port = known.get(tenant) ?? new TenantPort(entry, tenant);
  known.set(tenant, port);
  return port;
}

/** One for each tenant that has logged in through the stream: its sessions share it, so that they can be gathered by it. */
const portsOf = new WeakMap<EntryPort, Map<string, TenantPort>>();

/** Between the handlers of a session, who know internal ids, and its client, who knows those of its tenant. */
class TenantPort implements EntryPort {
  readonly #entry: EntryPort;
  readonly #tenant: string;

  constructor(entry: EntryPort, tenant: string) {
    this.#entry = entry;
    this.#tenant = tenant;
  }

  get incarnation(): string {
    return this.#entry.incarnation;
  }

  send(record: RecordInput): boolean {
    if (record.kind !== RecordKind.REPLY || record.body === undefined) return this.#entry.send(record);
    return this.#entry.send({ ...record, body: shownTo(this.#tenant, record.cmd ?? 0, record.body) });
  }

  roundTripMs(conn: number): number {
    return this.#entry.roundTripMs?.(conn) ?? 0;
  }

  read(cmd: number, body: Uint8Array): Uint8Array {
    return saidBy(this.#tenant, cmd, body);
  }
}

/** What a client of the tenant sent, with internal ids. What is no message stays as it is: its handler says so. */
export function saidBy(tenant: string, cmd: number, body: Uint8Array): Uint8Array {
  const plan = UP_PLANS.get(cmd);
  if (tenant === "" || plan === undefined) return body;
  const prefix = `${tenant}${TENANT_SEPARATOR}`;
  try {
    return rewriteIds(body, plan, (id) => (id === "" ? "" : prefix + id));
  } catch (error) {
    if (error instanceof RangeError) return body;
    throw error;
  }
}

/** The body of a command to clients of the tenant, with the ids that they know. One of another tenant's user is left out. */
export function shownTo(tenant: string, cmd: number, body: Uint8Array): Uint8Array {
  const plan = DOWN_PLANS.get(cmd);
  if (tenant === "" || plan === undefined) return body;
  const prefix = `${tenant}${TENANT_SEPARATOR}`;
  return rewriteIds(body, plan, (id) =>
    id.startsWith(prefix) ? id.slice(prefix.length) : id.includes(TENANT_SEPARATOR) ? "" : id,
  );
}
