// SPDX-License-Identifier: Apache-2.0
import { createServer as createTcpServer, type Socket } from "node:net";
import type { PeerCertificate } from "node:tls";
import {
  type ChannelOptions,
  Client,
  ChannelCredentials as Credentials,
  connectivityState,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServiceDefinition,
  status as Status,
  type sendUnaryData,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { ErrorCode, ImError, toImError } from "./errors.ts";
import { fromGrpcError, statusOf } from "./grpc-status.ts";
import { type InternalTls, type Role, roleName } from "./internal-tls.ts";
import { listen } from "./listen.ts";
import { OpenCalls } from "./open-calls.ts";
import type { ServerUplink, UplinkOptions, UplinkStream } from "./uplink-stream.ts";

export type { ServiceDefinition } from "@grpc/grpc-js";
export {
  type InternalTls,
  type InternalTlsWatch,
  loadInternalTls,
  type Role,
  watchInternalTls,
} from "./internal-tls.ts";
export type { ServerUplink, UplinkOptions, UplinkStream } from "./uplink-stream.ts";

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** A peer that accepts TCP and never sends SETTINGS leaves grpc-js in CONNECTING for ever. */
const CONNECT_TIMEOUT_MS = 5000;

/** Calls of one connection that may be open at once. */
const MAX_CALLS = 1000;

/** Processes that may be connected at once. */
const MAX_PEERS = 4096;

const COMMON_OPTIONS: ChannelOptions = {
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.enable_channelz": 0,
};

const CLIENT_OPTIONS: ChannelOptions = {
  ...COMMON_OPTIONS,
  // A shared pool would hand a replaced channel the same stuck connection again.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
  // Off, and without its buffer: else up to 1 MiB per call counts as written before it is, and backpressure lies.
  "grpc.enable_retries": 0,
  "grpc.per_rpc_retry_buffer_size": 0,
  "grpc-node.flow_control_window": 1024 * 1024,
};

/** One TLS context for all connections with the same pair: the operator has one to each pod of a cluster. */
const credentials = new WeakMap<InternalTls, Credentials>();

function clientCredentials(tls: InternalTls | undefined): Credentials {
  if (!tls) return Credentials.createInsecure();
  const known = credentials.get(tls) ?? Credentials.createSsl(tls.ca, tls.key, tls.cert);
  credentials.set(tls, known);
  return known;
}

function clientOptions(role: string): ChannelOptions {
  return {
    ...CLIENT_OPTIONS,
    "grpc.ssl_target_name_override": roleName(role),
    "grpc.default_authority": roleName(role),
  };
}

/** A service with its implementation: made by {@link unaryService} or {@link uplinkService}. */
export interface GrpcService {
  readonly definition: ServiceDefinition;
  implement(calls: OpenCalls): Record<string, UntypedHandleCall>;
}

export interface GrpcServer {
  /** @param roles client roles that may call this service; all roles of the server when left out */
  addService(service: GrpcService, roles?: readonly Role[]): void;
  /** New connections use this pair from here on; those that stand keep theirs. Not for a server without TLS. */
  setTls(tls: PublicTls): void;
  /** @returns the port bound; `port` 0 asks for any */
  bind(host: string, port: number): Promise<number>;
  /** Refuses new calls, waits at most `graceMs` for open ones, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** With `tls` a client must present a certificate of the same CA whose role is accepted; PERMISSION_DENIED else. */
export function createGrpcServer(options: {
  tls?: InternalTls | undefined;
  clientRoles?: readonly Role[];
  /** Calls of one connection that may be open at once; more wait at the client. Default 1000. */
  maxCalls?: number;
}): GrpcServer {
  return serve(options);
}

/** TLS of a server for callers that are no pods: with a CA they must show a certificate of it. */
export interface PublicTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer | undefined;
}

/** A server for callers that say by metadata who they are. Without `tls` something in front of it ends TLS. */
export function createPublicGrpcServer(options: {
  tls: PublicTls | undefined;
  /** Bytes of a request. */
  maxRequestBytes: number;
  maxCalls: number;
  maxConnections: number;
}): GrpcServer {
  return serve({ ...options, isPublic: true });
}

interface ServeOptions {
  tls?: PublicTls | undefined;
  clientRoles?: readonly Role[];
  maxCalls?: number;
  maxRequestBytes?: number;
  maxConnections?: number;
  isPublic?: boolean;
}

function serve(options: ServeOptions): GrpcServer {
  const rolesByPath = new Map<string, readonly Role[]>();
  const guard: ServerInterceptor = (method, call) => {
    const roles = rolesByPath.get(method.path) ?? options.clientRoles ?? [];
    const names = call.getAuthContext().sslPeerCertificate?.subjectaltname?.split(", ") ?? [];
    if (roles.some((role) => names.includes(`DNS:${roleName(role)}`))) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: () =>
            call.sendStatus({
              code: Status.PERMISSION_DENIED,
              details: `the client certificate has none of the roles ${roles.join(", ")}`,
            }),
        }),
    });
  };
  const tls = options.tls;
  const calls = new OpenCalls();
  const server = new Server({
    ...COMMON_OPTIONS,
    "grpc.max_concurrent_streams": options.maxCalls ?? MAX_CALLS,
    "grpc.max_receive_message_length": options.maxRequestBytes ?? MAX_MESSAGE_BYTES,
    ...(tls && !options.isPublic ? { interceptors: [guard] } : {}),
  });
  let injector = server.createConnectionInjector(serverCredentials(tls));
  // The sockets are ours: grpc-js can neither cut a session for good (Node only half-closes one that was asked to
  // close before, and the peer hears it at its next keepalive) nor limit how many there are.
  const sockets = new Set<Socket>();
  const door = createTcpServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    injector.injectConnection(socket);
  });
  door.maxConnections = options.maxConnections ?? MAX_PEERS;
  return {
    addService(service, roles) {
      if (roles) for (const method of Object.values(service.definition)) rolesByPath.set(method.path, roles);
      server.addService(service.definition, service.implement(calls));
    },
    setTls(next) {
      if (tls) injector = server.createConnectionInjector(serverCredentials(next));
    },
    bind: (host, port) => listen(door, port, host),
    close: async (graceMs) => {
      await calls.close(graceMs);
      if (door.listening) door.close();
      for (const socket of sockets) socket.destroy();
      server.forceShutdown();
    },
  };
}

function serverCredentials(tls: PublicTls | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { cert_chain: tls.cert, private_key: tls.key };
  return ServerCredentials.createSsl(tls.ca ?? null, [pair], tls.ca !== undefined);
}

/** Handler of one unary method; what it throws becomes the status. `signal` aborts when the caller is gone. */
export type UnaryHandler = (request: never, context: { signal: AbortSignal }) => Promise<object> | object;

/** @param handlers one per method of the definition, named as in the .proto (`PurgeEntry`) */
export function unaryService(definition: ServiceDefinition, handlers: Record<string, UnaryHandler>): GrpcService {
  for (const name of Object.keys(definition)) {
    if (!handlers[name]) throw new ImError(ErrorCode.INTERNAL, `no handler for method ${name}`);
  }
  const implement = (calls: OpenCalls) =>
    Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, unaryHandler(handler, calls)]));
  return { definition, implement };
}

/** A call with what its metadata says. */
export interface MetadataCall {
  readonly request: object;
  /** The first value of a text key. */
  readonly header: (name: string) => string | undefined;
  /** What the caller has shown, and was verified; undefined: nothing. */
  readonly certificate: () => PeerCertificate | undefined;
}

export type MetadataAnswer = { readonly trailers: Readonly<Record<string, string | Buffer>> } & (
  | { readonly kind: "reply"; readonly reply: object }
  | { readonly kind: "failed"; readonly status: number; readonly details: string }
);

/** @param handle answers every method, and never rejects */
export function metadataService(
  definition: ServiceDefinition,
  handle: (method: string, call: MetadataCall) => Promise<MetadataAnswer>,
): GrpcService {
  const handlerOf = (method: string, calls: OpenCalls): UntypedHandleCall => {
    return (call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) => {
      const leave = calls.enter();
      const header = (name: string): string | undefined => {
        const [value] = call.metadata.get(name);
        return typeof value === "string" ? value : undefined;
      };
      if (calls.isClosing) {
        done(statusOf(new ImError(ErrorCode.RETRYABLE, "the server is stopping")));
        leave();
        return;
      }
      const certificate = (): PeerCertificate | undefined => call.getAuthContext().sslPeerCertificate;
      void handle(method, { request: call.request, header, certificate })
        .then((answer) => {
          const metadata = new Metadata();
          for (const [name, value] of Object.entries(answer.trailers)) metadata.set(name, value);
          if (answer.kind === "reply") done(null, answer.reply, metadata);
          else done({ code: answer.status, details: answer.details, metadata });
        })
        .finally(leave);
    };
  };
  const implement = (calls: OpenCalls) =>
    Object.fromEntries(Object.keys(definition).map((name) => [name, handlerOf(name, calls)]));
  return { definition, implement };
}

function unaryHandler(handler: UnaryHandler, calls: OpenCalls): UntypedHandleCall {
  return (call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) => {
    const leave = calls.enter();
    const abort = new AbortController();
    call.on("cancelled", () => abort.abort());
    const answer = async () => {
      if (calls.isClosing) throw new ImError(ErrorCode.RETRYABLE, "the server is stopping");
      return handler(call.request as never, { signal: abort.signal });
    };
    answer()
      .then(
        (reply) => done(null, reply),
        (thrown: unknown) => done(statusOf(toImError(thrown))),
      )
      .finally(leave);
  };
}

/** Options of {@link createChannelClient}. */
export interface ChannelClientOptions {
  /** host:port */
  address: string;
  definition: ServiceDefinition;
  /** Role the server's certificate must prove. */
  role: Role;
  tls?: InternalTls | undefined;
  /** A connection attempt that takes longer is given up and made again. Default 5000. */
  connectTimeoutMs?: number;
}

export interface ChannelClient {
  /**
   * Waits for a connection within the deadline.
   * @param method name as in the .proto
   * @throws {ImError} RETRYABLE when unreachable or late, else as the server said
   */
  call<Reply extends object>(method: string, request: object, deadlineMs: number): Promise<Reply>;
  close(): void;
}

/** Unary calls to one peer over one connection, which replaces itself when it is stuck. */
export function createChannelClient(options: ChannelClientOptions): ChannelClient {
  return new WatchedClient(options);
}

class WatchedClient implements ChannelClient {
  readonly #options: ChannelClientOptions;
  #client: Client;
  #watchdog: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ChannelClientOptions) {
    this.#options = options;
    this.#client = this.#open();
  }

  call<Reply extends object>(method: string, request: object, deadlineMs: number): Promise<Reply> {
    const definition = this.#options.definition[method] as MethodDefinition<object, Reply> | undefined;
    if (!definition) return Promise.reject(new ImError(ErrorCode.INTERNAL, `no method ${method}`));
    return this.#attempt(definition, request, Date.now() + deadlineMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#watchdog);
    this.#client.close();
  }

  /**
   * A connection that is replaced while the call waits for it takes the call along: it was never sent. Bounded by the
   * deadline, as every replacement takes a whole connect timeout.
   */
  #attempt<Reply extends object>(
    definition: MethodDefinition<object, Reply>,
    request: object,
    deadlineAtMs: number,
  ): Promise<Reply> {
    this.#watch();
    const client = this.#client;
    return new Promise((resolve, reject) => {
      const metadata = new Metadata({ waitForReady: true });
      client.makeUnaryRequest<object, Reply>(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        metadata,
        { deadline: deadlineAtMs },
        (error, reply) => {
          const isReplaced = error?.code === Status.UNAVAILABLE && client !== this.#client && !this.#isClosed;
          if (isReplaced && Date.now() < deadlineAtMs) resolve(this.#attempt(definition, request, deadlineAtMs));
          else if (isReplaced) reject(new ImError(ErrorCode.RETRYABLE, "deadline exceeded without a connection"));
          else if (error) reject(fromGrpcError(error));
          else if (reply) resolve(reply);
          else reject(new ImError(ErrorCode.INTERNAL, `${definition.path}: empty reply`));
        },
      );
    });
  }

  #open(): Client {
    return new Client(this.#options.address, clientCredentials(this.#options.tls), clientOptions(this.#options.role));
  }

  /** While calls come and the channel is not ready: look again after the timeout, and replace it if it is stuck. */
  #watch(): void {
    const channel = this.#client.getChannel();
    if (this.#watchdog || channel.getConnectivityState(true) === connectivityState.READY) return;
    this.#watchdog = setTimeout(() => {
      this.#watchdog = undefined;
      if (channel.getConnectivityState(false) !== connectivityState.CONNECTING) return;
      this.#client.close();
      this.#client = this.#open();
    }, this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
    this.#watchdog.unref();
  }
}

const UPLINK_PATH = "/im.uplink.v1.Uplink/Attach";
const identity = (bytes: Buffer): Buffer => bytes;

/** Opens one stream on a connection of its own. It never reconnects: open another one after onClose. */
export function openUplink(options: UplinkOptions): UplinkStream {
  const client = new Client(options.address, clientCredentials(options.tls), clientOptions("logic"));
  const call = client.makeBidiStreamRequest(UPLINK_PATH, identity, identity, new Metadata());
  let closed = false;
  const finish = (error?: Error): void => {
    if (closed) return;
    closed = true;
    clearTimeout(watchdog);
    call.cancel();
    client.close();
    options.onClose(error);
  };
  const timeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const watchdog = setTimeout(
    () => finish(new ImError(ErrorCode.RETRYABLE, `${options.address} did not speak HTTP/2 within ${timeoutMs} ms`)),
    timeoutMs,
  );
  client.waitForReady(Number.POSITIVE_INFINITY, (error) => {
    clearTimeout(watchdog);
    if (!error && !closed) options.onConnected?.();
  });
  call.on("data", (batch: Buffer) => {
    if (closed) return;
    try {
      options.onBatch(batch);
    } catch (thrown) {
      finish(toImError(thrown));
    }
  });
  call.on("error", (error) => finish(fromGrpcError(error)));
  call.on("end", () => finish());
  return {
    write: (batch) => !closed && call.write(batch),
    onDrain: (fn) => void call.on("drain", fn),
    close: () => finish(),
  };
}

const UPLINK_DEFINITION: ServiceDefinition = {
  Attach: {
    path: UPLINK_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

/** The Uplink service; `onAttach` runs once per stream an entry opens. */
export function uplinkService(onAttach: (stream: ServerUplink) => void): GrpcService {
  return {
    definition: UPLINK_DEFINITION,
    implement: (calls) => ({
      Attach: (call: ServerDuplexStream<Buffer, Buffer>) => {
        if (calls.isClosing) call.end();
        else onAttach(serverUplink(call, calls.enter()));
      },
    }),
  };
}

function serverUplink(call: ServerDuplexStream<Buffer, Buffer>, leave: () => void): ServerUplink {
  let closed = false;
  let onClose: ((error?: Error) => void) | undefined;
  let onBatch: ((batch: Buffer) => void) | undefined;
  const finish = (error?: Error): void => {
    if (closed) return;
    closed = true;
    call.end();
    leave();
    onClose?.(error);
  };
  call.on("data", (batch: Buffer) => {
    if (closed) return;
    try {
      onBatch?.(batch);
    } catch (thrown) {
      finish(toImError(thrown));
    }
  });
  call.on("cancelled", () => finish(new ImError(ErrorCode.RETRYABLE, "the entry went away")));
  call.on("error", (error: Error) => finish(error));
  call.on("end", () => finish());
  // Headers at once: the client's side counts the stream as accepted only then.
  call.sendMetadata(new Metadata());
  return {
    peer: call.getPeer(),
    write: (batch) => !closed && call.write(batch),
    onDrain: (fn) => void call.on("drain", fn),
    onBatch: (fn) => {
      onBatch = fn;
    },
    onClose: (fn) => {
      onClose = fn;
    },
    close: () => finish(),
  };
}
