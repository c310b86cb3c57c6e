// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs";

/** The .proto files of this project, relative to this folder. This module is the one place that loads them. */
export const PROTO_FILES = [
  "im/client/v1/client.proto",
  "im/uplink/v1/uplink.proto",
  // The chat: a file for each part.
  "im/client/v1/conversations.proto",
  "im/client/v1/groups.proto",
  "im/client/v1/broadcasts.proto",
  "im/client/v1/changes.proto",
  "im/client/v1/safety.proto",
] as const;

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Reflection root: the generator of `gen/messages.ts` walks it too. */
export const root: protobuf.Root = new protobuf.Root();
root.resolvePath = (_origin, target) => here(target);
root.loadSync([...PROTO_FILES]);

/** Encoder and decoder of one message type. */
export interface BodyCodec<T> {
  /** Missing fields become proto3 defaults. */
  encode(value: Partial<T>): Uint8Array;
  /** @throws Error on bytes that are not this message. Bytes fields are views of the input. */
  decode(bytes: Uint8Array): T;
}

/**
 * 64-bit integers are read as Number: sequences and millisecond timestamps stay below 2^53 by construction;
 * a hostile larger one only loses precision and then fails the bounds check of its command.
 */
const TO_OBJECT: protobuf.IConversionOptions = { longs: Number, defaults: true, arrays: true };

/** Codec by full name, e.g. `im.client.v1.Hello`. Use the typed constants of `gen/messages.ts` instead. */
export function bodyCodec<T>(typeName: string): BodyCodec<T> {
  const type = root.lookupType(typeName);
  return {
    encode: (value) => type.encode(type.fromObject(value)).finish(),
    decode: (bytes) => type.toObject(type.decode(bytes), TO_OBJECT) as T,
  };
}

const definitions = loadSync([...PROTO_FILES], {
  ...{ longs: Number, defaults: true, arrays: true },
  includeDirs: [here(".")],
});

/** gRPC definition of the API for the shop's backends. Loaded when it is asked for: no other process needs it. */
export function apiServiceDefinition(): ServiceDefinition {
  const loaded = loadSync("im/api/v1/server_api.proto", {
    ...{ longs: Number, defaults: true, arrays: true, objects: true },
    includeDirs: [here(".")],
  });
  return loaded["im.api.v1.ServerApi"] as ServiceDefinition;
}

/** gRPC definition of a service by full name, e.g. `im.uplink.v1.EntryControl`, for `lib/grpc.ts`. */
export function serviceDefinition(name: string): ServiceDefinition {
  const definition = definitions[name];
  if (definition === undefined || "format" in definition)
    throw new Error(`no service ${name} in ${PROTO_FILES.join(", ")}`);
  return definition as ServiceDefinition;
}
