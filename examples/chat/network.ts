// SPDX-License-Identifier: Apache-2.0
import type { FetchLike, WebSocketLike } from "#client";

/** The network as the demo's buttons break it: sockets can be killed, and refused while offline. */
export class Network {
  readonly #dial: (url: string) => WebSocketLike;
  readonly #sockets = new Set<WebSocketLike>();
  /** Ends every request under way. */
  #requests = new AbortController();
  #isOnline = true;

  constructor(dial: (url: string) => WebSocketLike) {
    this.#dial = dial;
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** A WebSocket, or while offline one that fails as if there were no route. */
  readonly open = (url: string): WebSocketLike => {
    if (!this.#isOnline) return refusedSocket();
    const socket = this.#dial(url);
    this.#sockets.add(socket);
    // Bounded: at most the connection in use and its successor are alive.
    for (const old of this.#sockets) if (this.#sockets.size > 4) this.#sockets.delete(old);
    return socket;
  };

  /** A request, for when the client falls back to HTTP. While offline it fails, too. */
  readonly fetch: FetchLike = (url, init) => {
    if (!this.#isOnline) return Promise.reject(new TypeError("offline"));
    const signals = [this.#requests.signal, ...(init.signal ? [init.signal] : [])];
    return fetch(url, { ...init, signal: AbortSignal.any(signals) });
  };

  /** Every connection breaks now. */
  kill(): void {
    this.#requests.abort();
    this.#requests = new AbortController();
    for (const socket of this.#sockets) socket.close(KILLED, "killed by the button");
    this.#sockets.clear();
  }

  setOnline(isOnline: boolean): void {
    this.#isOnline = isOnline;
    if (!isOnline) this.kill();
  }
}

/** A private close code of the demo, below the server's range. */
const KILLED = 3000;
const NO_ROUTE = 1006;

function refusedSocket(): WebSocketLike {
  const socket: WebSocketLike = {
    binaryType: "arraybuffer",
    onopen: null,
    onmessage: null,
    onerror: null,
    onclose: null,
    send() {},
    close() {},
  };
  queueMicrotask(() => {
    const onclose = socket.onclose as ((event: { code: number; reason: string }) => void) | null;
    onclose?.({ code: NO_ROUTE, reason: "offline" });
  });
  return socket;
}
