// SPDX-License-Identifier: Apache-2.0
import type { SendPorts } from "./send.ts";

type Submit = SendPorts["submit"];

/** `submit`, which has the router asked for those whom a message is for while it is being stored, as far as the message tells who they are. */
export function expecting(submit: Submit, expect: (userId: string) => void): Submit {
  return (input, done) => {
    if (!submit(input, done)) return false;
    if (input.lookUpOnly === true) return true;
    expect(input.sender);
    if (input.peer !== "") expect(input.peer);
    return true;
  };
}
