// SPDX-License-Identifier: Apache-2.0
// `node bench/peers/echo.ts`: what Node alone costs per message: writes back what it reads. Prints its port.
import { type AddressInfo, createServer } from "node:net";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
