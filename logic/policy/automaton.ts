// SPDX-License-Identifier: Apache-2.0

const NONE = -1;
/** 2^32 / golden ratio: spreads neighbouring keys. */
const SPREAD = 0x9e3779b1;

/** A trie while it grows: edges by node and UTF-16 unit. */
interface Trie {
  readonly edges: Map<number, number>[];
  readonly patternOf: number[];
}

/**
 * Finds every occurrence of many patterns in one pass over a text (Aho-Corasick over UTF-16 units). What a text costs depends on
 * its length, hardly on the number of patterns; memory grows with their characters. Edges are in one open-addressed table.
 */
export class Automaton {
  /** Class of each unit, from 1; 0 = in no pattern. */
  readonly #classOf: Uint16Array;
  readonly #classes: number;
  /** Node behind the root, by class. */
  readonly #first: Int32Array;
  readonly #fail: Int32Array;
  /** Pattern that ends at a node. */
  readonly #patternOf: Int32Array;
  /** Nearest node on the way of failures where a pattern ends; 0 = none. */
  readonly #endsAt: Int32Array;
  /** Keys (node * classes + class + 1) and their nodes, 0 = free. */
  readonly #keys: Float64Array;
  readonly #nodes: Int32Array;
  readonly #mask: number;
  readonly #shift: number;

  /** @param patterns not empty, distinct; {@link find} tells them by index */
  constructor(patterns: readonly string[]) {
    const trie = trieOf(patterns);
    const { classOf, classes } = classesOf(patterns);
    this.#classOf = classOf;
    this.#classes = classes;
    const nodes = trie.edges.length;
    this.#fail = new Int32Array(nodes);
    this.#patternOf = Int32Array.from(trie.patternOf);
    this.#endsAt = new Int32Array(nodes);
    this.#first = new Int32Array(classes);
    let capacity = 16;
    while (capacity < nodes * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#shift = Math.clz32(capacity - 1);
    this.#keys = new Float64Array(capacity);
    this.#nodes = new Int32Array(capacity);
    for (const [node, edges] of trie.edges.entries())
      for (const [unit, to] of edges) this.#put(node, classOf[unit] ?? 0, to);
    this.#linkFailures(trie);
  }

  /** Calls `hit` with a pattern's index and the position behind it, for each occurrence. */
  find(text: string, hit: (pattern: number, end: number) => void): void {
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      node = this.#step(node, text.charCodeAt(at));
      let end = (this.#patternOf[node] ?? NONE) === NONE ? (this.#endsAt[node] ?? 0) : node;
      while (end !== 0) {
        hit(this.#patternOf[end] ?? NONE, at + 1);
        end = this.#endsAt[end] ?? 0;
      }
    }
  }

  #step(from: number, unit: number): number {
    const cls = this.#classOf[unit] ?? 0;
    if (cls === 0) return 0;
    for (let node = from; node !== 0; node = this.#fail[node] ?? 0) {
      const next = this.#get(node, cls);
      if (next !== 0) return next;
    }
    return this.#first[cls] ?? 0;
  }

  #put(node: number, cls: number, to: number): void {
    if (node === 0) {
      this.#first[cls] = to;
      return;
    }
    const key = node * this.#classes + cls + 1;
    let slot = Math.imul(key, SPREAD) >>> this.#shift;
    while (this.#keys[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#keys[slot] = key;
    this.#nodes[slot] = to;
  }

  #get(node: number, cls: number): number {
    const key = node * this.#classes + cls + 1;
    let slot = Math.imul(key, SPREAD) >>> this.#shift;
    for (;;) {
      const found = this.#keys[slot];
      if (found === key) return this.#nodes[slot] ?? 0;
      if (found === 0) return 0;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Breadth first: what a node fails to is nearer to the root. */
  #linkFailures(trie: Trie): void {
    const queue: number[] = [...(trie.edges[0]?.values() ?? [])];
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at] ?? 0;
      for (const [unit, to] of trie.edges[node] ?? []) {
        const fail = this.#step(this.#fail[node] ?? 0, unit);
        this.#fail[to] = fail;
        this.#endsAt[to] = (this.#patternOf[fail] ?? NONE) === NONE ? (this.#endsAt[fail] ?? 0) : fail;
        queue.push(to);
      }
    }
  }
}

function trieOf(patterns: readonly string[]): Trie {
  const edges: Map<number, number>[] = [new Map()];
  const patternOf = [NONE];
  for (const [pattern, text] of patterns.entries()) {
    if (text === "") throw new RangeError("an empty pattern is everywhere");
    let node = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let next = edges[node]?.get(unit);
      if (next === undefined) {
        next = edges.length;
        edges[node]?.set(unit, next);
        edges.push(new Map());
        patternOf.push(NONE);
      }
      node = next;
    }
    patternOf[node] = pattern;
  }
  return { edges, patternOf };
}

function classesOf(patterns: readonly string[]): { classOf: Uint16Array; classes: number } {
  const classOf = new Uint16Array(65_536);
  let classes = 1;
  for (const text of patterns) {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (classOf[unit] === 0) classOf[unit] = classes++;
    }
  }
  return { classOf, classes };
}
