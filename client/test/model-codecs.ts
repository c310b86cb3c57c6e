// SPDX-License-Identifier: Apache-2.0
import type { Codec } from "../src/codec.ts";
import * as broadcasts from "../src/models/broadcasts-codec.ts";
import * as changes from "../src/models/changes-codec.ts";
import * as conversations from "../src/models/conversations-codec.ts";
import * as groups from "../src/models/groups-codec.ts";
import * as safety from "../src/models/safety-codec.ts";

/** Codecs of `client/src/models/`, by the names of their messages: one line for each part. */
export const MODEL_CODECS: Readonly<Record<string, Codec<never>>> = {
  ...(broadcasts as unknown as Record<string, Codec<never>>),
  ...(changes as unknown as Record<string, Codec<never>>),
  ...(conversations as unknown as Record<string, Codec<never>>),
  ...(groups as unknown as Record<string, Codec<never>>),
  ...(safety as unknown as Record<string, Codec<never>>),
};
