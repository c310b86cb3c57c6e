// SPDX-License-Identifier: Apache-2.0
// `node bench/peers/tls-floor.ts DIR`: what Node alone costs per TLS connection: accepts and does nothing. Prints its port.
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";

const dir = process.argv[2] ?? "";
const server = createServer({
  cert: readFileSync(join(dir, "tls.crt")),
  key: readFileSync(join(dir, "tls.key")),
  minVersion: "TLSv1.3",
  ALPNProtocols: ["im/1"],
});
server.on("secureConnection", (socket) => socket.on("error", () => socket.destroy()).resume());
server.on("tlsClientError", (_error, socket) => socket.destroy());
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
