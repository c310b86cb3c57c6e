// SPDX-License-Identifier: Apache-2.0

/** To whom a record BROADCAST goes: every session of a tenant's users, or these connections. */
export type BroadcastTarget = { readonly tenant: string } | { readonly conns: readonly number[] };

/** What a record BROADCAST says besides its body. */
export interface BroadcastRecord {
  /** How many connections stand in front of the body, 4 bytes each; 0: the tenant's name does, behind a byte for its length. */
  readonly conn: number;
  readonly body: Uint8Array;
}

const CONN_BYTES = 4;
const MAX_TENANT_BYTES = 255;

/** The fields `conn` and `body` of a record. @throws RangeError for no connections, or a name that is too long */
export function writeBroadcast(target: BroadcastTarget, body: Uint8Array): BroadcastRecord {
  if ("conns" in target) {
    const { conns } = target;
    if (conns.length === 0) throw new RangeError("a broadcast to no connection");
    const bytes = Buffer.allocUnsafe(conns.length * CONN_BYTES + body.length);
    conns.forEach((conn, at) => void bytes.writeUInt32LE(conn, at * CONN_BYTES));
    bytes.set(body, conns.length * CONN_BYTES);
    return { conn: conns.length, body: bytes };
  }
  const name = Buffer.from(target.tenant, "utf8");
  if (name.length > MAX_TENANT_BYTES) throw new RangeError(`no name of a tenant: ${target.tenant}`);
  return { conn: 0, body: Buffer.concat([Buffer.of(name.length), name, body]) };
}

/** The same, read; `body` is a view. Undefined: it is cut off. */
export function readBroadcast({
  conn,
  body,
}: BroadcastRecord): { target: BroadcastTarget; body: Uint8Array } | undefined {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (conn > 0) {
    const end = conn * CONN_BYTES;
    if (end > buffer.length) return undefined;
    const conns = Array.from({ length: conn }, (_, at) => buffer.readUInt32LE(at * CONN_BYTES));
    return { target: { conns }, body: buffer.subarray(end) };
  }
  const end = 1 + (buffer[0] ?? buffer.length);
  if (end > buffer.length) return undefined;
  return { target: { tenant: buffer.toString("utf8", 1, end) }, body: buffer.subarray(end) };
}
