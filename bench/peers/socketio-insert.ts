// SPDX-License-Identifier: Apache-2.0
// The usual way to build a chat in Node: Socket.IO, and one INSERT per message before the sender's acknowledgement.
// One JSON argument: {"postgresUrl": ...}. Prints {"port": ...} when it listens.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { Server } from "socket.io";

/** What a sender emits; answered by `true` when it is stored. */
export interface SocketIoMessage {
  to: string;
  id: string;
  content: string;
}

const POOL = 16;

/** One row per message: no inbox, no counter, no receipt. The keys let it find duplicates and read an inbox. */
const SCHEMA = `
  CREATE TABLE message (
    recipient text COLLATE "C" NOT NULL, id bigserial, sender text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL, content text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (recipient, id), UNIQUE (sender, client_id))`;
const INSERT = {
  name: "insert",
  text: `INSERT INTO message (recipient, sender, client_id, content) VALUES ($1, $2, $3, $4)
         ON CONFLICT (sender, client_id) DO NOTHING`,
};

async function main(postgresUrl: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: postgresUrl, max: POOL });
  await pool.query(SCHEMA);
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
  io.on("connection", (socket) => {
    const user = String(socket.handshake.auth.user);
    void socket.join(user);
    socket.on("send", (message: SocketIoMessage, stored: (isStored: boolean) => void) => {
      pool.query({ ...INSERT, values: [message.to, user, message.id, message.content] }).then(
        () => {
          stored(true);
          io.to(message.to).emit("message", message.content);
        },
        () => stored(false),
      );
    });
  });
  http.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (http.address() as AddressInfo).port })));
}

await main((JSON.parse(process.argv[2] ?? "{}") as { postgresUrl: string }).postgresUrl);
