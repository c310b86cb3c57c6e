// SPDX-License-Identifier: Apache-2.0

/** Bytes that are asked for again and again, up to a number of them in all; those asked for longest ago make room. */
export class ByteCache {
  readonly #maxBytes: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Uint8Array>();
  readonly #loading = new Map<string, Promise<Uint8Array>>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is kept, or what `load` brings: once for all who ask meanwhile. @throws what `load` does */
  async get(key: string, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const kept = this.#kept.get(key);
    if (kept) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept;
    }
    const loading = this.#loading.get(key) ?? this.#load(key, load);
    this.#loading.set(key, loading);
    return await loading;
  }

  async #load(key: string, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      const bytes = await load();
      if (bytes.length <= this.#maxBytes) this.#keep(key, bytes);
      return bytes;
    } finally {
      this.#loading.delete(key);
    }
  }

  #keep(key: string, bytes: Uint8Array): void {
    this.#kept.set(key, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
