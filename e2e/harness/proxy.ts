// SPDX-License-Identifier: Apache-2.0
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * What happens to bytes from the server: `pass` them on, `swallow` them (a black hole), or `cut` both connections when
 * the first ones come, so that the request was done and only its answer is lost. Requests always get through.
 */
export type ProxyMode = "pass" | "swallow" | "cut";

/** A TCP proxy, on loopback unless told otherwise, that fails on demand. */
export class TcpProxy {
  mode: ProxyMode = "pass";
  /** Port of the same host that new connections go to; open ones stay where they are, as behind a Service. */
  targetPort: number;
  /** Connections that came so far. */
  accepted = 0;
  readonly #host: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(targetPort: number, host = "127.0.0.1") {
    this.targetPort = targetPort;
    this.#host = host;
    this.#server = createServer((client) => {
      this.accepted++;
      const target = connect({ host, port: this.targetPort, noDelay: true });
      client.setNoDelay(true);
      const end = (): void => {
        client.destroy();
        target.destroy();
      };
      for (const socket of [client, target]) {
        this.#sockets.add(socket);
        socket.on("error", end);
        socket.on("close", () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      client.on("data", (chunk) => target.write(chunk));
      target.on("data", (chunk) => {
        if (this.mode === "pass") client.write(chunk);
        else if (this.mode === "cut") end();
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, this.#host, resolve);
    });
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Starts a {@link TcpProxy} in front of a port of the same host, an address of this process's network. Default loopback. */
export async function startProxy(targetPort: number, host?: string): Promise<TcpProxy> {
  const proxy = new TcpProxy(targetPort, host);
  await proxy.listen();
  return proxy;
}
