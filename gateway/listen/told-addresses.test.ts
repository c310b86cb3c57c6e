// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { ToldAddresses } from "./told-addresses.ts";

class FakeSocket extends EventEmitter {
  readonly remoteAddress = "10.0.0.1";
  readonly remotePort = 40_000;
  readonly localPort = 443;
  readonly localAddress: string;

  constructor(localAddress = "10.0.0.9") {
    super();
    this.localAddress = localAddress;
  }
}

describe("told addresses", () => {
  it("are kept while their socket is open", () => {
    const told = new ToldAddresses();
    const socket = new FakeSocket();
    assert.equal(told.of(socket), undefined);
    told.add(socket, "203.0.113.7");
    assert.equal(told.of(new FakeSocket()), "203.0.113.7", "by another socket object of the same ends");
    socket.emit("close");
    assert.deepEqual([told.of(socket), told.size], [undefined, 0]);
  });

  it("a peer that uses its port again keeps the new one when the old socket closes late", () => {
    const told = new ToldAddresses();
    const [old, next] = [new FakeSocket(), new FakeSocket()];
    told.add(old, "203.0.113.7");
    told.add(next, "203.0.113.8");
    old.emit("close");
    assert.equal(told.of(next), "203.0.113.8");
    next.emit("close");
    assert.equal(told.size, 0);
  });

  it("the same port of a peer towards two of our addresses is two sockets", () => {
    const told = new ToldAddresses();
    const [first, second] = [new FakeSocket("10.0.0.9"), new FakeSocket("10.0.0.10")];
    told.add(first, "203.0.113.7");
    told.add(second, "203.0.113.8");
    assert.deepEqual([told.of(first), told.of(second)], ["203.0.113.7", "203.0.113.8"]);
  });
});
