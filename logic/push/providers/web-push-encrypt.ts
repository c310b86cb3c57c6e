// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createECDH, createHmac, randomBytes } from "node:crypto";

const RECORD_BYTES = 4096;
const PUBLIC_KEY_BYTES = 65;
const AUTH_BYTES = 16;
const SALT_BYTES = 16;
/** One record holds the text, a delimiter and a tag. */
export const MAX_TEXT_BYTES = RECORD_BYTES - 17 - (SALT_BYTES + 5 + PUBLIC_KEY_BYTES);

/** Keys of a Web Push subscription. */
export interface SubscriptionKeys {
  /** Uncompressed P-256 point, 65 bytes. */
  p256dh: Buffer;
  /** 16 bytes. */
  auth: Buffer;
}

/** What is chosen anew for every message; given only by tests of known answers. */
export interface EncryptionInputs {
  salt?: Buffer;
  /** Private scalar of the sender's key pair. */
  privateKey?: Buffer;
}

/**
 * Encrypts a push for one subscription: RFC 8291, content encoding aes128gcm (RFC 8188), one record.
 * @returns undefined when the subscription's keys are no keys, or the text is over {@link MAX_TEXT_BYTES}
 */
export function encryptPush(text: Buffer, keys: SubscriptionKeys, inputs: EncryptionInputs = {}): Buffer | undefined {
  if (text.length > MAX_TEXT_BYTES || keys.p256dh.length !== PUBLIC_KEY_BYTES || keys.auth.length !== AUTH_BYTES) {
    return undefined;
  }
  const salt = inputs.salt ?? randomBytes(SALT_BYTES);
  const sender = createECDH("prime256v1");
  if (inputs.privateKey) sender.setPrivateKey(inputs.privateKey);
  else sender.generateKeys();
  let shared: Buffer;
  try {
    shared = sender.computeSecret(keys.p256dh);
  } catch {
    // Not a point of the curve.
    return undefined;
  }
  const { contentKey, nonce } = deriveKeys(shared, keys, sender.getPublicKey(), salt);
  const cipher = createCipheriv("aes-128-gcm", contentKey, nonce);
  // 2: the last record.
  const sealed = Buffer.concat([
    cipher.update(Buffer.concat([text, Buffer.of(2)])),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const header = Buffer.alloc(SALT_BYTES + 5);
  salt.copy(header);
  header.writeUInt32BE(RECORD_BYTES, SALT_BYTES);
  header.writeUInt8(PUBLIC_KEY_BYTES, SALT_BYTES + 4);
  return Buffer.concat([header, sender.getPublicKey(), sealed]);
}

/** The content key and nonce of both sides (RFC 8291 section 3.4). */
export function deriveKeys(
  shared: Buffer,
  receiver: SubscriptionKeys,
  senderPublic: Buffer,
  salt: Buffer,
): { contentKey: Buffer; nonce: Buffer } {
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), receiver.p256dh, senderPublic]);
  const secret = hkdf(receiver.auth, shared, info, 32);
  return {
    contentKey: hkdf(salt, secret, Buffer.from("Content-Encoding: aes128gcm\0"), 16),
    nonce: hkdf(salt, secret, Buffer.from("Content-Encoding: nonce\0"), 12),
  };
}

/** HKDF-SHA-256 for at most 32 bytes: one round of expansion. */
function hkdf(salt: Buffer, secret: Buffer, info: Buffer, bytes: number): Buffer {
  const pseudoRandomKey = createHmac("sha256", salt).update(secret).digest();
  return createHmac("sha256", pseudoRandomKey).update(info).update(Buffer.of(1)).digest().subarray(0, bytes);
}
