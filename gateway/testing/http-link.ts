// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

const BODY_TYPE = "application/octet-stream";

/** One session over HTTP as a test drives it: a stream or polls for the downlink, a request for each write. */
export class HttpLink {
  onBytes: (bytes: Buffer) => void = () => undefined;
  /** @param code as the entry gave it; undefined when the downlink just ended */
  onClose: (code: number | undefined) => void = () => undefined;
  /** Lease of the last answer. */
  lease = "";
  cursor = 0;
  /** Status of each write, in order. */
  readonly statuses: number[] = [];
  readonly #mode: "sse" | "poll";
  readonly #downUrl: string;
  readonly #upUrl: string;
  readonly #abort = new AbortController();
  #uplink: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isEnded = false;

  constructor(mode: "sse" | "poll", downUrl: string, upUrl: string) {
    this.#mode = mode;
    this.#downUrl = downUrl;
    this.#upUrl = upUrl;
  }

  send(bytes: Buffer): void {
    if (this.#isStarted) {
      this.#uplink = this.#uplink.then(() => this.#post(bytes));
      return;
    }
    this.#isStarted = true;
    void (this.#mode === "sse" ? this.#stream(bytes) : this.#poll(bytes)).catch(() => this.#end(undefined));
  }

  close(): void {
    this.#abort.abort();
  }

  #end(code: number | undefined): void {
    if (!this.#isEnded) this.onClose(code);
    this.#isEnded = true;
  }

  /** A request of its own; redirects and keep-alive are fetch's. */
  request(url: string, path: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
    const { signal } = this.#abort;
    const all = { "content-type": BODY_TYPE, ...headers };
    return fetch(url + path, { method: "POST", headers: all, body: new Uint8Array(body), signal });
  }

  async #post(bytes: Buffer): Promise<void> {
    try {
      const response = await this.request(this.#upUrl, "/v1/frames", bytes, { "im-lease": this.lease });
      await response.arrayBuffer();
      this.lease = response.headers.get("im-lease") ?? this.lease;
      this.statuses.push(response.status);
    } catch {
      this.statuses.push(0);
    }
  }

  async #stream(hello: Buffer): Promise<void> {
    const response = await this.request(this.#downUrl, "/v1/stream", hello);
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) this.#event(event);
    }
    this.#end(undefined);
  }

  #event(event: string): void {
    const data = /^data: (.*)$/m.exec(event)?.[1] ?? "";
    if (event.startsWith("event: lease")) this.lease = data;
    else if (event.startsWith("event: close")) this.#end(Number.parseInt(data, 10));
    else if (!event.startsWith(":")) this.onBytes(Buffer.from(data, "base64"));
  }

  async #poll(hello: Buffer): Promise<void> {
    let response = await this.request(this.#downUrl, "/v1/poll", hello);
    while (response.ok) {
      const bytes = Buffer.from(await response.arrayBuffer());
      this.lease = response.headers.get("im-lease") ?? this.lease;
      this.cursor = Number(response.headers.get("im-cursor"));
      if (bytes.length > 0) this.onBytes(bytes);
      if (response.headers.has("im-close")) break;
      const position = { "im-lease": this.lease, "im-cursor": String(this.cursor) };
      response = await this.request(this.#upUrl, "/v1/poll", Buffer.alloc(0), position);
    }
    this.#end(Number.parseInt(response.headers.get("im-close") ?? "", 10) || undefined);
  }
}
