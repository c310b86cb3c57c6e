// SPDX-License-Identifier: Apache-2.0
import { PushAck } from "#proto/gen/messages.ts";

const TAG_INBOX_SEQ = 0x08;
/** Seven bits each: 49 bits, so that no bit is lost in a Number. */
const MAX_VARINT_BYTES = 7;

/**
 * `inbox_seq` of a PushAck body, read by hand: one per message. Whatever is not just this field is left to the codec,
 * and so is every refusal.
 * @throws Error as PushAck.decode does
 */
export function readPushAck(body: Uint8Array): number {
  const { length } = body;
  if (body[0] !== TAG_INBOX_SEQ || length > 1 + MAX_VARINT_BYTES) return PushAck.decode(body).inboxSeq;
  let value = 0;
  let scale = 1;
  for (let at = 1; at < length; at++) {
    const byte = body[at] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return at === length - 1 ? value : PushAck.decode(body).inboxSeq;
    scale *= 128;
  }
  return PushAck.decode(body).inboxSeq;
}
