// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";

const MAX_KNOWN = 50_000;
const known = new Map<string, string>();

/**
 * Id of the one-to-one conversation of two users: both compute the same without asking anyone.
 * 128 bits of SHA-256("p2p\0" + smaller + "\0" + greater) in hex.
 */
export function directConversationId(a: string, b: string): string {
  const pair = a < b ? `${a}\0${b}` : `${b}\0${a}`;
  let id = known.get(pair);
  if (id === undefined) {
    id = `c_${hash("sha256", `p2p\0${pair}`, "hex").slice(0, 32)}`;
    // People talk to the same few people: remembering is ten times cheaper than hashing.
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(pair, id);
  }
  return id;
}

/** What must be equal for a resend to be the same message: conversation, type, content. 32 bytes. */
export function payloadHash(conversationId: string, contentType: string, content: Uint8Array): Uint8Array {
  const head = `${conversationId}\0${contentType.length}\0${contentType}\0`;
  const input = Buffer.allocUnsafe(Buffer.byteLength(head) + content.length);
  input.set(content, input.write(head));
  return hash("sha256", input, "buffer");
}
