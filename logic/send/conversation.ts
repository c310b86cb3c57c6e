// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";

/**
 * Id of the one-to-one conversation of two users: both compute the same without asking anyone.
 * 128 bits of SHA-256("p2p\0" + smaller + "\0" + greater) in hex.
 */
export function directConversationId(a: string, b: string): string {
  const [low, high] = a < b ? [a, b] : [b, a];
  return `c_${hash("sha256", `p2p\0${low}\0${high}`, "hex").slice(0, 32)}`;
}

/** What must be equal for a resend to be the same message: conversation, type, content. 32 bytes. */
export function payloadHash(conversationId: string, contentType: string, content: Uint8Array): Uint8Array {
  const head = `${conversationId}\0${contentType.length}\0${contentType}\0`;
  const input = Buffer.allocUnsafe(Buffer.byteLength(head) + content.length);
  input.set(content, input.write(head));
  return hash("sha256", input, "buffer");
}
