// SPDX-License-Identifier: Apache-2.0

/** Where a generator connects. */
export interface LoadTarget {
  port: number;
  /** PEM; with it the connection is TLS. */
  ca?: string | undefined;
  servername?: string | undefined;
}

/** One user of the load on one connection, whatever protocol it speaks. */
export interface LoadClient {
  readonly id: string;
  /** Connects and logs in. Rejects when refused, or when it takes too long. */
  login(target: LoadTarget, token: string): Promise<void>;
  /** Sends, and returns a number that names the request. The content is copied. */
  send(to: string, clientMessageId: string, content: Buffer): number;
  close(): void;
}

/** Told by every connection; one object for all of them. */
export interface LoadListener {
  /** The message is stored. */
  acked(user: LoadClient, rid: number): void;
  /** A message arrived; `content` is a view that begins with its stamp. */
  delivered(content: Buffer): void;
  /** The server answered a send with an error: again after so many ms. */
  refused(user: LoadClient, rid: number, retryAfterMs: number): void;
  /** The connection is gone before {@link LoadClient.close}. */
  broken(user: LoadClient, why: string): void;
}
