// SPDX-License-Identifier: Apache-2.0
// The chat beyond messages. Not part of the core: `import { ... } from "@imcluster/client/models"`.
export { type Heard, hear } from "./hear.ts";
