import { type Expression, type Placeholders, render } from '../../core/table/expression.ts'
import { dueShards, type Key } from '../../core/table/keys.ts'
import {
  ConditionFailed,
  type Item,
  type Listing,
  type ListOptions,
  type Table,
  type Write,
} from '../../core/table/table.ts'

/**
 * A table in memory for tests that run a flow thousands of times, a hundred times faster than a database. It
 * supports the DynamoDB expressions that our code uses and throws on others; `memory-table.test.ts` compares
 * its answers with those of the database. Every call takes a turn of the event loop, so that concurrent calls
 * interleave.
 */
export function memoryTable(
  initial: readonly Item[] = [],
  watch: (writes: readonly Write[], items: () => Item[], apply: () => void) => void = (_, __, apply) =>
    apply(),
): Table & Listing & { items(): Item[] } {
  const nameOf = ({ pk, sk }: Item | Key) => `${pk}\n${sk}`
  const items = new Map(initial.map((item) => [nameOf(item), item]))
  const sortKeys = sortedBy(initial)
  const found = (key: Key): Item | undefined => items.get(nameOf(key))
  const copy = (item: Item | undefined) => item && stored(item)

  function transact(writes: readonly Write[]): void {
    const targets = writes.map((write) => nameOf(keyOf(write)))
    if (new Set(targets).size < targets.length)
      throw new Error('two writes of one transaction change the same item')
    const failed = new Map<number, Item | undefined>()
    writes.forEach((write, at) => {
      const old = found(keyOf(write))
      if (write.if && !holds(write.if, old ?? {})) failed.set(at, copy(old))
    })
    if (failed.size > 0) throw new ConditionFailed(failed)
    watch(
      writes,
      () => [...items.values()],
      () => {
        for (const write of writes) apply(write)
      },
    )
  }

  function apply(write: Write): void {
    const key = keyOf(write)
    if ('check' in write) return
    if ('remove' in write) {
      if (items.delete(nameOf(key))) sortKeys.remove(key)
      return
    }
    if (!items.has(nameOf(key))) sortKeys.add(key)
    const item =
      'put' in write ? stored(write.put) : updated(found(key) ?? { pk: key.pk, sk: key.sk }, write.set)
    items.set(nameOf(key), item)
  }

  function inPartition(
    pk: string,
    prefix: string,
    { limit, newestFirst, after, between }: ListOptions = {},
  ): Item[] {
    const [from, to] = between
      ? [prefix + between[0], `${prefix}${between[1]}\0`]
      : [prefix, `${prefix}\uffff`]
    const inRange = sortKeys.between(pk, from, to)
    if (newestFirst) inRange.reverse()
    const isAfter = (sk: string) => !after || (newestFirst ? sk < after.sk : sk > after.sk)
    const page = inRange.filter(isAfter).slice(0, limit)
    return page.map((sk) => stored(found({ pk, sk }) ?? {}))
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  return {
    items: () => [...items.values()],
    async get(key) {
      await turn()
      return copy(found(key))
    },
    async getAll(keys) {
      await turn()
      return keys.map((key) => copy(found(key)))
    },
    async page(pk, prefix, options = {}) {
      await turn()
      const items = inPartition(pk, prefix, options)
      // As DynamoDB, which looks no further than the limit.
      return { items, isLast: options.limit === undefined || items.length < options.limit }
    },
    async list(pk, prefix, options) {
      await turn()
      return inPartition(pk, prefix, options)
    },
    async put(item, condition) {
      await turn()
      transact([{ put: item, ...(condition && { if: condition }) }])
    },
    async putAll(puts) {
      await turn()
      for (const put of puts) transact([{ put }])
    },
    async update(key, set, condition) {
      await turn()
      transact([{ update: key, set, ...(condition && { if: condition }) }])
      return copy(found(key)) ?? {}
    },
    async remove(key, condition) {
      await turn()
      transact([{ remove: key, ...(condition && { if: condition }) }])
    },
    async transact(writes) {
      await turn()
      transact(writes)
    },
    async due(kind, nowMs, limit) {
      await turn()
      const shards = dueShards(kind)
      const dueAtMs = (item: Item) => Number(item.dueAtMs)
      return shards.flatMap((shard) => {
        const due = [...items.values()].filter((item) => item.due === shard && dueAtMs(item) <= nowMs)
        const first = due.sort((a, b) => dueAtMs(a) - dueAtMs(b)).slice(0, Math.ceil(limit / shards.length))
        return first.map(({ pk, sk }) => ({ pk: String(pk), sk: String(sk) }))
      })
    },
    async listed(list, [from, to], limit) {
      await turn()
      return [...items.values()]
        .filter(({ status, id }) => status === list && String(id) >= from && String(id) <= to)
        .map(({ pk, sk, id }) => ({ pk: String(pk), sk: String(sk), id: String(id) }))
        .sort((a, b) => (a.id < b.id ? 1 : -1))
        .slice(0, limit)
    },
  }
}

/** The sort keys of each partition in order. */
function sortedBy(initial: readonly Item[]) {
  const partitions = new Map<string, string[]>()
  /** The number of sort keys before this one. */
  const before = (all: readonly string[], sk: string): number => {
    let [low, high] = [0, all.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((all[middle] ?? '') < sk) low = middle + 1
      else high = middle
    }
    return low
  }
  const of = (pk: string): string[] => {
    const all = partitions.get(pk) ?? []
    partitions.set(pk, all)
    return all
  }
  const add = ({ pk, sk }: Key) => void of(pk).splice(before(of(pk), sk), 0, sk)
  for (const { pk, sk } of initial) add({ pk: String(pk), sk: String(sk) })
  return {
    add,
    remove: ({ pk, sk }: Key) => void of(pk).splice(before(of(pk), sk), 1),
    /** The sort keys from `from`, included, to `to`, not included. */
    between: (pk: string, from: string, to: string) => of(pk).slice(before(of(pk), from), before(of(pk), to)),
  }
}

function keyOf(write: Write): Key {
  if ('put' in write) return { pk: String(write.put.pk), sk: String(write.put.sk) }
  if ('update' in write) return write.update
  return 'remove' in write ? write.remove : write.check
}

/**
 * The item as DynamoDB stores it: without undefined attributes, and without objects shared with the caller.
 */
const stored = (item: Item): Item => plain(item) as Item

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (value instanceof Set) return new Set([...value].map(plain))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const entries: [string, unknown][] = []
  for (const [name, each] of Object.entries(value)) if (each !== undefined) entries.push([name, plain(each)])
  return Object.fromEntries(entries)
}

// --- Expressions ---

interface Reader {
  tokens: string[]
  names: Record<string, string>
  values: Record<string, unknown>
}

function readerOf(expression: Expression): Reader {
  const into: Placeholders = {}
  const tokens = render(expression, into).match(/[#:]?[A-Za-z_][\w]*|:\d+|<>|<=|>=|[=<>(),.+-]/g) ?? []
  const { ExpressionAttributeNames: names = {}, ExpressionAttributeValues: values = {} } = into
  return { tokens, names, values }
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}
const sorted = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return { binary: Buffer.from(value).toString('hex') }
  if (value instanceof Set) return { set: [...value].map((each) => JSON.stringify(sorted(each))).sort() }
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, each]) => [name, sorted(each)]),
  )
}

/** With a missing operand every comparison but `<>` is false. */
const COMPARE: Record<string, (a: unknown, b: unknown) => boolean> = {
  '=': (a, b) => a !== undefined && same(a, b),
  '<>': (a, b) => a === undefined || !same(a, b),
  '<': (a, b) => a !== undefined && (a as number) < (b as number),
  '<=': (a, b) => a !== undefined && (a as number) <= (b as number),
  '>': (a, b) => a !== undefined && (a as number) > (b as number),
  '>=': (a, b) => a !== undefined && (a as number) >= (b as number),
}

function holds(condition: Expression, item: Item): boolean {
  const reader = readerOf(condition)
  const result = either(reader, item)
  if (reader.tokens.length > 0) throw new Error(`not understood: ${reader.tokens.join(' ')}`)
  return result
}

function either(reader: Reader, item: Item): boolean {
  let result = both(reader, item)
  while (accept(reader, 'OR')) result = both(reader, item) || result
  return result
}

function both(reader: Reader, item: Item): boolean {
  let result = one(reader, item)
  while (accept(reader, 'AND')) result = one(reader, item) && result
  return result
}

function one(reader: Reader, item: Item): boolean {
  if (accept(reader, 'NOT')) return !one(reader, item)
  if (accept(reader, '(')) {
    const result = either(reader, item)
    expect(reader, ')')
    return result
  }
  for (const [name, exists] of [
    ['attribute_exists', true],
    ['attribute_not_exists', false],
  ] as const) {
    if (!accept(reader, name)) continue
    expect(reader, '(')
    const path = pathOf(reader)
    expect(reader, ')')
    return (at(item, path) !== undefined) === exists
  }
  if (accept(reader, 'contains')) {
    expect(reader, '(')
    const whole = at(item, pathOf(reader))
    expect(reader, ',')
    const part = operand(reader, item)
    expect(reader, ')')
    return whole instanceof Set && [...whole].some((each) => same(each, part))
  }
  const left = operand(reader, item)
  if (accept(reader, 'IN')) {
    expect(reader, '(')
    const options = [operand(reader, item)]
    while (accept(reader, ',')) options.push(operand(reader, item))
    expect(reader, ')')
    return left !== undefined && options.some((option) => same(left, option))
  }
  const compare = COMPARE[reader.tokens.shift() ?? '']
  if (!compare) throw new Error('the table in memory does not support this comparison')
  return compare(left, operand(reader, item))
}

function operand(reader: Reader, item: Item): unknown {
  const [token = ''] = reader.tokens
  if (accept(reader, 'if_not_exists')) {
    expect(reader, '(')
    const value = at(item, pathOf(reader))
    expect(reader, ',')
    const otherwise = operand(reader, item)
    expect(reader, ')')
    return value ?? otherwise
  }
  if (accept(reader, 'size')) {
    expect(reader, '(')
    const whole = at(item, pathOf(reader))
    expect(reader, ')')
    if (Array.isArray(whole)) return whole.length
    if (whole !== undefined && !(whole instanceof Set))
      throw new Error('only the size of a set or a list is supported')
    return whole?.size
  }
  if (!token.startsWith(':')) return at(item, pathOf(reader))
  reader.tokens.shift()
  return reader.values[token]
}

function pathOf(reader: Reader): string[] {
  const path: string[] = []
  do {
    const token = reader.tokens.shift() ?? ''
    path.push(token.startsWith('#') ? (reader.names[token] ?? '') : token)
  } while (accept(reader, '.'))
  return path
}

const at = (item: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, name)
        ? (value as Item)[name]
        : undefined,
    item,
  )

function accept(reader: Reader, token: string): boolean {
  if (reader.tokens[0] !== token) return false
  reader.tokens.shift()
  return true
}

function expect(reader: Reader, token: string): void {
  if (!accept(reader, token)) throw new Error(`${token} expected, found ${reader.tokens[0]}`)
}

/** The item after `SET … REMOVE … ADD … DELETE …`; every right-hand side sees the item as it was. */
function updated(item: Item, set: Expression): Item {
  const reader = readerOf(set)
  const after = stored(item)
  while (reader.tokens.length > 0) {
    const clause = reader.tokens.shift()
    if (!['SET', 'REMOVE', 'ADD', 'DELETE'].includes(clause ?? ''))
      throw new Error(`the table in memory does not support ${clause}`)
    do {
      const path = pathOf(reader)
      const parent = at(after, path.slice(0, -1)) as Item | undefined
      const name = path.at(-1) ?? ''
      if (!parent) throw new Error(`there is no ${path.join('.')} to write to`)
      if (clause === 'REMOVE') {
        delete parent[name]
        continue
      }
      if (clause === 'ADD' || clause === 'DELETE') {
        const changed = merged(clause, parent[name], operand(reader, item))
        if (changed === undefined) delete parent[name]
        else parent[name] = changed
        continue
      }
      expect(reader, '=')
      const value = sum(reader, item)
      if (value === undefined) throw new Error(`${name} is set to an attribute that does not exist`)
      parent[name] = plain(value)
    } while (accept(reader, ','))
  }
  return stored(after)
}

/** The number or set after ADD or DELETE; DynamoDB removes a set without elements. */
function merged(clause: string, old: unknown, operand: unknown): unknown {
  if (clause === 'ADD' && typeof operand === 'number' && typeof (old ?? 0) === 'number')
    return Number(old ?? 0) + operand
  if (!(operand instanceof Set) || !(old === undefined || old instanceof Set))
    throw new Error(`${clause} needs a number or a set`)
  const isIn = (set: Set<unknown>, value: unknown) => [...set].some((each) => same(each, value))
  const before = old ?? new Set()
  const result =
    clause === 'ADD'
      ? [...before, ...[...operand].filter((each) => !isIn(before, each)).map(plain)]
      : [...before].filter((each) => !isIn(operand, each))
  return result.length > 0 ? new Set(result) : undefined
}

function sum(reader: Reader, item: Item): unknown {
  const number = (value: unknown): number => {
    if (typeof value !== 'number') throw new Error('only numbers can be added')
    return value
  }
  let value = operand(reader, item)
  for (;;) {
    if (accept(reader, '+')) value = number(value) + number(operand(reader, item))
    else if (accept(reader, '-')) value = number(value) - number(operand(reader, item))
    else return value
  }
}
