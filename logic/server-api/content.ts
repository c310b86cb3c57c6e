// SPDX-License-Identifier: Apache-2.0
import { MAX_CONTENT_BYTES } from "#proto/commands.ts";
import { type Refusal, refuse } from "./problem.ts";

export type ContentEncoding = "utf8" | "base64";

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a message, or why there are none. */
export function readContent(content: string, encoding: ContentEncoding = "utf8"): Uint8Array | Refusal {
  if (encoding === "base64" && !BASE64.test(content))
    return refuse("invalid", "content is not base64 of the standard alphabet: encode it so, or set encoding to utf8", {
      faults: [{ path: "/content", message: "must be base64" }],
    });
  const bytes = Buffer.from(content, encoding);
  if (bytes.length <= MAX_CONTENT_BYTES) return bytes;
  return refuse("too_large", `the content is larger than ${MAX_CONTENT_BYTES} bytes: upload it and send a link`);
}

/** Text where it is text, base64 where it is not. */
export function writeContent(bytes: Uint8Array): { content: string; encoding: ContentEncoding } {
  try {
    return { content: decoder.decode(bytes), encoding: "utf8" };
  } catch {
    // No UTF-8: the bytes as they are.
    return { content: Buffer.from(bytes).toString("base64"), encoding: "base64" };
  }
}
