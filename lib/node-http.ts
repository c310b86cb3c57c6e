// SPDX-License-Identifier: Apache-2.0
// node:http for the server programs. `import ... from "node:http"` reads every property of it once, also `WebSocket`, whose getter loads
// the whole of undici: 40 ms of CPU at each start, and memory, in processes that use nothing of it. This asks for the few that are used.

/** From node:http; their types are imported from there with `import type`. */
export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule("node:http");
