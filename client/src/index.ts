// SPDX-License-Identifier: Apache-2.0
// The SDK for browsers and for Node over WebSocket. node.ts adds raw TCP.

export { type ClientStats, ImClient } from "./client.ts";
export type { Clock } from "./clock.ts";
export { ClientCode, codeName, DisconnectCode, ErrorCode, mayReconnect } from "./codes.ts";
export type { Conversation, HistoryOptions, HistoryResult } from "./conversations.ts";
export { ImClientError, type ImClientErrorOptions } from "./errors.ts";
export type {
  ClientEvents,
  GoawayNotice,
  KickNotice,
  Message,
  ResetNotice,
  SendOutcome,
  ServerFrame,
  SnapshotNotice,
} from "./events.ts";
export type { DeviceProfile } from "./identity.ts";
export { DEFAULT_TIMING, type ImClientOptions, type Network, type Platform, type Timing } from "./options.ts";
export type { SendResult } from "./outbox.ts";
export type { SendRequest } from "./sender.ts";
export type {
  ClientState,
  ClosedState,
  ConnectingState,
  IdleState,
  OpenState,
  ReconnectingState,
} from "./state.ts";
export { MemoryStore, type OutboxChange, type PendingMessage, type Store, type StoredCursor } from "./store.ts";
export { type BrowserTransportOptions, browserTransport } from "./transport/choose.ts";
export { type FetchLike, type HttpMode, type HttpTransportOptions, httpTransport } from "./transport/http.ts";
export type { Socket, Transport, TransportListener } from "./transport/transport.ts";
export { type WebSocketFactory, type WebSocketLike, wsTransport } from "./transport/ws.ts";
