// SPDX-License-Identifier: Apache-2.0
import { type Fleet, SERVER_NAME } from "../harness/fleet.ts";
import type { ClientTarget } from "./sdk-transport.ts";

/** How a client reaches an entry. */
export type Carrier = "tls" | "tcp" | "wss" | "ws" | "sse" | "poll";

/** A client's way to the given entries, in turn. */
export function targetOf(fleet: Fleet, carrier: Carrier, ...entries: number[]): ClientTarget {
  const url = entries.map((index) => {
    const { tlsPort, plainPort } = fleet.entry(index);
    if (carrier === "sse" || carrier === "poll") return `${carrier}+https://127.0.0.1:${tlsPort}`;
    const isWebSocket = carrier === "wss" || carrier === "ws";
    const port = carrier === "tls" || carrier === "wss" ? tlsPort : plainPort;
    return `${carrier}://127.0.0.1:${port}${isWebSocket ? "/ws" : ""}`;
  });
  return { url, ca: fleet.ca, servername: SERVER_NAME };
}
